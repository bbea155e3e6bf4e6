-- Fails with each cluster whose members are not as many as it says, on either side.
with members as (

    select threshold, cluster_id, count(*) as n_members
    from {{ ref('cluster_members') }}
    where cluster_id is not null
    group by threshold, cluster_id

)

select threshold, cluster_id, clusters.n_samples, members.n_members
from {{ ref('clusters') }} as clusters
full outer join members using (threshold, cluster_id)
where clusters.n_samples is distinct from members.n_members
