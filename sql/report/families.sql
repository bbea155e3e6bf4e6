-- One row per keyword set, generator and family of prompts, the families whose clusters come back the most
-- first: the mean rate of copies over its clusters and prompts, by the nearest of at most 16 representatives,
-- and how it differs from that of the words alone on the same seeds. By the metric that copies are told by.
select
    families.keyword_set,
    families.family,
    families.n_clusters,
    families.n_prompts,
    families.n_generations,
    families.replication_rate,
    families.ci_low,
    families.ci_high,
    families.difference,
    families.difference_ci_low,
    families.difference_ci_high,
    families.metric,
    generators.model,
    families.generator_id
from replication_by_family as families
join generators using (generator_id)
where
    families.metric in ('clip', 'l2_relative')
    and families.reference = 'representatives'
    and families.replication_rate is not null
-- 'l2_relative', where there is one
qualify families.metric = max(families.metric) over (partition by families.generator_id, families.keyword_set)
order by
    families.generator_id,
    max(families.replication_rate) over (partition by families.generator_id, families.keyword_set) desc,
    families.keyword_set,
    list_position(['keywords', 'short', 'long', 'irrelevant', 'without_name'], families.family);
