-- The keyword sets, each with its threshold, how many of its samples have a vector, and how many clusters it has at
-- that threshold; the largest set first.
with embedded as (
    select keyword_set, n_samples as n_embedded from funnel where step = 'embedded'
)
select
    keyword_sets.keyword_set,
    keyword_sets.n_samples,
    keyword_sets.threshold,
    embedded.n_embedded,
    count(keyword_clusters.cluster_id) as n_clusters
from keyword_sets
left join embedded using (keyword_set)
left join keyword_clusters using (keyword_set, threshold)
group by all
order by keyword_sets.n_samples desc, keyword_sets.keyword_set;
