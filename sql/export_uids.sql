-- The uids of what is kept or removed ($action), sorted: DataComp's 128 bits as two numbers. Table
-- chosen.
select
    ('0x' || left(source_id, 16))::ubigint as high,
    ('0x' || right(source_id, 16))::ubigint as low
from chosen
where action = $action
order by high, low;
