-- One row a keyword set, threshold and cluster with at least $min_cluster_size samples of the keyword
-- set: n_samples counts those; cluster_rank 1 is the largest.
create or replace temp table set_clusters as
with counted as (
    select keyword_set, threshold, cluster_id, count(*) as n_samples
    from set_members
    group by all
    having count(*) >= $min_cluster_size
)
select
    *,
    row_number() over (
        partition by keyword_set, threshold order by n_samples desc, cluster_id
    ) as cluster_rank
from counted;
