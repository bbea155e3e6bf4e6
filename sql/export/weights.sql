-- A training weight for each sample at $threshold: 1 / size of its cluster, so that each cluster
-- counts once; one that was not judged counts whole, and says so. Table chosen.
select
    chosen.sample_id,
    chosen.url,
    chosen.caption,
    chosen.n_rows,
    1.0::double / coalesce(clusters.n_samples, 1) as weight,
    chosen.action <> 'not_judged' as is_judged
from chosen
left join cluster_members
    on chosen.sample_id = cluster_members.sample_id
    and cluster_members.threshold = $threshold
left join clusters
    on cluster_members.cluster_id = clusters.cluster_id
    and cluster_members.threshold = clusters.threshold
order by chosen.sample_id;
