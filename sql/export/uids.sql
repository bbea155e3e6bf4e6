-- The uids of every source row of what is kept or removed, sorted: DataComp's 128 bits as two numbers.
-- Table chosen_rows.
select
    ('0x' || left(source_id, 16))::ubigint as high,
    ('0x' || right(source_id, 16))::ubigint as low
from chosen_rows
order by high, low;
