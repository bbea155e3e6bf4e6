-- The clusters of $sample, one row a threshold.
select members.threshold, members.cluster_id, clusters.n_samples, members.cosine_to_medoid
from cluster_members as members
left join clusters using (threshold, cluster_id)
where members.sample_id = $sample
order by members.threshold;
