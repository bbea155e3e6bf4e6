-- One row per keyword set and threshold: its clusters, blank images and placeholders aside, and how
-- much of the set they hold.
with thresholds as (
    select distinct threshold from cluster_members
),
counted as (
    select
        keyword_set,
        threshold,
        count(*) as n_clusters,
        max(n_samples) as n_samples_largest,
        cast(sum(n_samples) as bigint) as n_samples_clustered,
        sum(share) as share_clustered
    from keyword_clusters
    where n_samples >= $min_cluster_size and excluded_reason is null
    group by keyword_set, threshold
)
select
    keyword_sets.keyword_set,
    thresholds.threshold,
    coalesce(n_clusters, 0) as n_clusters,
    coalesce(n_samples_largest, 0) as n_samples_largest,
    coalesce(n_samples_clustered, 0) as n_samples_clustered,
    coalesce(share_clustered, 0.0::double) as share_clustered
from keyword_sets
cross join thresholds
left join counted
    on counted.keyword_set = keyword_sets.keyword_set and counted.threshold = thresholds.threshold
order by keyword_sets.n_samples desc, keyword_sets.keyword_set, thresholds.threshold;
