-- The uids of what is kept or removed ($action) at $threshold under $keep_rule, sorted: DataComp's 128
-- bits as two numbers.
select
    ('0x' || left(source_id, 16))::ubigint as high,
    ('0x' || right(source_id, 16))::ubigint as low
from removal_list
join samples using (sample_id)
where threshold = $threshold and keep_rule = $keep_rule and action = $action
order by high, low;
