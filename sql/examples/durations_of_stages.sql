-- How long the last run of each stage took, what it read and wrote, and with which versions.
select
    stage,
    status,
    started_at,
    seconds,
    n_in,
    n_out,
    versions['memtriggers'] as memtriggers,
    versions['duckdb'] as duckdb,
    versions['torch'] as torch
from runs
qualify row_number() over (partition by stage order by run_id desc) = 1
order by started_at;
