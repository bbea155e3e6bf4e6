-- How many matched samples are 'ok', and how many were rejected for which reason, the most common first. Table samples.
with counted as (
    select
        coalesce(status_reason, status) as outcome,
        count(*) as n,
        min({'source_file': source_file, 'source_row': source_row}) as first_place
    from samples
    group by coalesce(status_reason, status)
)
select outcome, n, first_place.source_file, first_place.source_row, null as tried, null as reason
from counted
order by n desc, outcome;
