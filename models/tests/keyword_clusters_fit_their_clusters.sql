-- Fails with each cluster that holds more samples of a keyword set than samples, or that comes at
-- more than all of them.
select keyword_clusters.*, clusters.n_samples as n_in_cluster
from {{ ref('keyword_clusters') }} as keyword_clusters
left join {{ ref('clusters') }} as clusters
    on keyword_clusters.threshold = clusters.threshold
    and keyword_clusters.cluster_id = clusters.cluster_id
where
    clusters.n_samples is null
    or keyword_clusters.n_samples > clusters.n_samples
    or keyword_clusters.cumulative_share > 1 + 1e-9
