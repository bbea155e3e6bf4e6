-- Every source row of what is kept or removed ($action). Tables chosen, sample_rows.
create or replace temp table chosen_rows as
select chosen.sample_id, sample_rows.source_id
from chosen
join sample_rows using (sample_id)
where chosen.action = $action;
