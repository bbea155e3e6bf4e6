-- The cluster that holds $sample at $threshold; no row where it is in none.
select clusters.*, samples.caption as medoid_caption
from cluster_members
join clusters using (threshold, cluster_id)
left join samples on samples.sample_id = clusters.medoid_sample_id
where cluster_members.threshold = $threshold and cluster_members.sample_id = $sample;
