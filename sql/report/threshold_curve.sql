-- One row per threshold, in steps of 0.005 and at those of the study: the clusters over all embedded
-- samples, the share of the samples in any of them and in the largest, and what is suggested and why.
select
    threshold,
    is_computed,
    n_clusters,
    n_samples_largest,
    share_clustered,
    share_largest,
    is_suggested,
    reason
from cluster_thresholds
order by threshold;
