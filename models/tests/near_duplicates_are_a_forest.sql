-- Fails when there are more edges than a forest over the embedded samples can have.
with counted as (

    select
        (select count(*) from {{ ref('near_duplicates') }}) as n_edges,
        (select count(distinct sample_id) from {{ ref('cluster_members') }}) as n_samples

)

select *
from counted
where n_edges > greatest(n_samples - 1, 0)
