-- A training weight for each sample at $threshold: 1 / size of its cluster, so that each cluster
-- counts once. The same samples as in the removal list of $keep_rule, which does not change it.
select
    removal_list.sample_id,
    samples.url,
    samples.caption,
    samples.n_rows,
    1.0::double / coalesce(clusters.n_samples, 1) as weight
from removal_list
join samples using (sample_id)
left join cluster_members
    on removal_list.sample_id = cluster_members.sample_id
    and removal_list.threshold = cluster_members.threshold
left join clusters
    on cluster_members.cluster_id = clusters.cluster_id
    and cluster_members.threshold = clusters.threshold
where removal_list.threshold = $threshold and removal_list.keep_rule = $keep_rule
order by removal_list.sample_id;
