-- One row per dose of the planted rows that the risk is about: what came back, over groups, prompts and training
-- seeds, and what the risk says.
select
    kind,
    n_captions,
    n_copies,
    share,
    exposures,
    count(distinct group_id) as n_groups,
    sum(n_generations)::bigint as n_generations,
    avg(replication_rate) as replication_rate,
    avg(replication_risk) as replication_risk
from trigger_validation
where split is not null
group by kind, n_captions, n_copies, share, exposures
order by kind = 'share', n_captions, n_copies;
