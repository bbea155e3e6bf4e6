-- Why the matched samples were rejected, the most common reason first; nothing when one of them is clean. Table samples.
with counted as (
    select
        status,
        status_reason,
        count(*) as n,
        min({'source_file': source_file, 'source_row': source_row}) as first_place
    from samples
    group by status, status_reason
)
select status_reason, n, first_place.source_file, first_place.source_row, null as tried, null as reason
from counted
where not exists (select 1 from counted where status = 'ok')
order by n desc, status_reason;
