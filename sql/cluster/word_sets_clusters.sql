-- One row a keyword set, threshold and cluster with at least $min_cluster_size samples of the keyword
-- set, blank images and placeholders aside: n_samples counts those; cluster_rank 1 is the largest.
-- is_split: at least two of them are of the mining half, where a word set can be found, and at least
-- one is of the estimating half.
create or replace temp table set_clusters as
with counted as (
    select
        keyword_set,
        threshold,
        cluster_id,
        count(*) as n_samples,
        count(*) filter (where domain is null) as n_mining
    from set_members
    semi join (
        select threshold, cluster_id from read_parquet($clusters) where excluded_reason is null
    ) using (threshold, cluster_id)
    group by all
    having count(*) >= $min_cluster_size
)
select
    keyword_set,
    threshold,
    cluster_id,
    n_samples,
    n_mining >= 2 and n_mining < n_samples as is_split,
    if(is_split, n_mining, n_samples) as n_mined,
    row_number() over (
        partition by keyword_set, threshold order by n_samples desc, cluster_id
    ) as cluster_rank
from counted;
