-- One row per keyword set that is compared with another, its parent: of all its samples, the share that
-- has a vector, the share that lies in clusters of the parent, and the share in its own largest ones.
-- Where not all have a vector, the shares in clusters are lower bounds; where none has, they are null: not measured.
with counted as (
    select
        keyword_set,
        sum(n_samples) filter (where is_parent_cluster) as n_in_parent_clusters,
        sum(n_samples) filter (where cluster_rank <= $n_clusters) as n_in_largest
    from keyword_clusters
    semi join keyword_sets using (keyword_set, threshold)
    group by keyword_set
),
embedded as (
    select keyword_set, n_samples as n_embedded from funnel where step = 'embedded'
)
select
    keyword_set,
    parent_keyword_set,
    keyword_sets.threshold,
    keyword_sets.n_samples,
    n_embedded / keyword_sets.n_samples as share_embedded,
    if(n_embedded > 0, coalesce(n_in_parent_clusters, 0) / keyword_sets.n_samples, null) as share_in_parent_clusters,
    if(n_embedded > 0, coalesce(n_in_largest, 0) / keyword_sets.n_samples, null) as share_in_largest
from keyword_sets
join embedded using (keyword_set)
left join counted using (keyword_set)
where parent_keyword_set is not null and keyword_sets.n_samples > 0
order by parent_keyword_set, share_in_parent_clusters desc nulls last, keyword_set;
