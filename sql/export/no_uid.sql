-- A source row whose id is no uid of 32 hexadecimal digits, if there is one. Table chosen_rows.
select sample_id, source_id
from chosen_rows
where not coalesce(regexp_full_match(source_id, '[0-9a-fA-F]{32}'), false)
order by sample_id
limit 1;
