-- The keyword sets, each with its threshold and how many clusters it has at that, the largest set first.
select
    keyword_sets.keyword_set,
    keyword_sets.n_samples,
    keyword_sets.threshold,
    count(keyword_clusters.cluster_id) as n_clusters
from keyword_sets
left join keyword_clusters using (keyword_set, threshold)
group by all
order by keyword_sets.n_samples desc, keyword_sets.keyword_set;
