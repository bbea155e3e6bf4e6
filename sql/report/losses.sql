-- One row per stage whose last successful run lacks something that it was asked for, then or before: how much, and why.
with good_runs as (
    select *
    from runs
    where status = 'ok'
    qualify row_number() over (partition by stage order by started_at desc) = 1
)
select stage, n_asked, n_missing, missing
from good_runs
where n_missing > 0
order by started_at;
