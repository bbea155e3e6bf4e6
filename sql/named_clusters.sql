-- The cluster of each keyword set at $threshold that holds each sample of $names: a study names a cluster by
-- any sample_id in it. One row a keyword set and name. Asked of the published tables.
select
    keyword_clusters.keyword_set,
    cluster_members.sample_id as name,
    keyword_clusters.cluster_id,
    keyword_clusters.n_samples
from cluster_members
join keyword_clusters using (threshold, cluster_id)
where threshold = $threshold and list_contains($names::varchar[], cluster_members.sample_id);
