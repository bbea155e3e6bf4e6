-- A sample whose source_id is no uid of 32 hexadecimal digits, if there is one.
select sample_id, source_id
from samples
where status != 'rejected' and not coalesce(regexp_full_match(source_id, '[0-9a-fA-F]{32}'), false)
order by sample_id
limit 1;
