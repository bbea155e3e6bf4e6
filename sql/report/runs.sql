-- One row per stage: its last run that had ended when this build was made.
select
    stage,
    strftime(started_at, '%Y-%m-%d %H:%M:%S') as started_at,
    seconds,
    status,
    n_in,
    n_out,
    n_lost,
    array_to_string(list_transform(map_entries(lost), entry -> entry.key || ' ' || entry.value), ', ') as lost
from runs
where status <> 'running'
qualify row_number() over (partition by stage order by started_at desc) = 1
order by runs.started_at;
