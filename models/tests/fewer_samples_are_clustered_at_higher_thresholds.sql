-- Fails with each threshold at which more samples are in clusters, or in the largest one, than at
-- the threshold before; and with each that is suggested beside another.
with followed as (

    select
        *,
        lag(n_samples_clustered) over by_threshold as n_clustered_before,
        lag(n_samples_largest) over by_threshold as n_largest_before,
        count(*) filter (is_suggested) over () as n_suggested
    from {{ ref('cluster_thresholds') }}
    window by_threshold as (order by threshold)

)

select *
from followed
where
    n_samples_clustered > n_clustered_before
    or n_samples_largest > n_largest_before
    or n_samples_largest > n_samples_clustered
    or (is_suggested and n_suggested > 1)
