-- One row per dose of the planted rows, kind of prompt and guidance scale: how many images were copies of what was
-- planted, over groups and training seeds, and the groups where the fewest and the most were.
select
    kind,
    n_captions,
    n_copies,
    prompt_kind,
    guidance_scale,
    count(*) as n_groups,
    sum(n_generations)::bigint as n_generations,
    avg(replication_rate) as replication_rate,
    min(replication_rate) as lowest_rate,
    max(replication_rate) as highest_rate
from trigger_validation
group by all
order by all;
