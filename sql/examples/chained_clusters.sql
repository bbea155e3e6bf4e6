-- Which clusters are chains: some member is less like the medoid than the threshold asks of a pair.
-- Look at these before you remove anything.
select threshold, cluster_id, n_samples, cosine_to_medoid_min, cosine_to_medoid_mean
from clusters
where cosine_to_medoid_min < threshold
order by threshold desc, cosine_to_medoid_min
limit 20;
