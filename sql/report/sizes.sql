-- One row per cluster, the largest of each keyword set first: its size.
select keyword_set, cluster_rank, keyword_clusters.n_samples
from keyword_clusters
join keyword_sets using (keyword_set, threshold)
where
    keyword_clusters.n_samples >= $min_cluster_size
    and cluster_rank <= $n_clusters  -- what is excluded has none
order by keyword_sets.n_samples desc, keyword_set, cluster_rank;
