-- The cluster of each keyword set at $threshold that holds each sample of $names: a study names a cluster by
-- any sample_id in it. A sample of the keyword set that is in none is asked for alone, by its own id; no name
-- stands for the largest cluster. One row a keyword set and name. Asked of the published tables.
with named as (
    select sample_id as name, threshold, cluster_id
    from cluster_members
    where threshold = $threshold and list_contains($names::varchar[], sample_id)
)
select keyword_set, name, cluster_id, n_samples
from named
join keyword_clusters using (threshold, cluster_id)
union all
select keyword_set, name, name, 1
from named
join keyword_matches on named.name = keyword_matches.sample_id
where cluster_id is null
union all
select keyword_set, '', cluster_id, n_samples
from keyword_clusters
where threshold = $threshold and cluster_rank = 1;
