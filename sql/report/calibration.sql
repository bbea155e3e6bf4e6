-- One row per fifth of the planted groups that the risk was not fitted on, by the risk: what it says, and what
-- came back.
with held_out as (
    select
        group_id,
        any_value(replication_risk) as replication_risk,
        avg(replication_rate) as replication_rate
    from trigger_validation
    where split = 'held_out'
    group by group_id
)
select
    fifth,
    count(*) as n_groups,
    min(replication_risk) as risk_from,
    max(replication_risk) as risk_to,
    avg(replication_risk) as replication_risk,
    avg(replication_rate) as replication_rate
from (select *, ntile(5) over (order by replication_risk, group_id) as fifth from held_out)
group by fifth
order by fifth;
