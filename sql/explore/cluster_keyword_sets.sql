-- The keyword sets that cluster $cluster at $threshold holds samples of.
select keyword_set, cluster_rank, n_samples, share
from keyword_clusters
where threshold = $threshold and cluster_id = $cluster
order by n_samples desc, keyword_set;
