with build_info as (

    select * from {{ ref('stg_build_info') }}

),

samples as (

    select * from {{ ref('samples') }}

),

previous_samples as (

    select * from {{ ref('stg_previous_samples') }}

),

clusters as (

    select * from {{ ref('clusters') }}

),

cluster_members as (

    select * from {{ ref('cluster_members') }}

),

previous_cluster_members as (

    select * from {{ ref('stg_previous_cluster_members') }}

),

sample_changes as (

    select
        if(previous_samples.sample_id is null, 'sample_new', 'sample_gone') as kind,
        cast(null as double) as threshold,
        coalesce(samples.sample_id, previous_samples.sample_id) as id,
        previous_samples.sample_id as previous_id,
        previous_samples.n_rows as before,
        samples.n_rows as after
    from samples
    full outer join previous_samples on samples.sample_id = previous_samples.sample_id
    where samples.sample_id is null or previous_samples.sample_id is null

),

-- At a threshold that only one of the builds has, every cluster would be a change.
thresholds as (

    select threshold from cluster_members
    intersect
    select threshold from previous_cluster_members

),

previous_clusters as (

    select threshold, cluster_id, count(*) as n_samples
    from previous_cluster_members
    where cluster_id is not null
    group by threshold, cluster_id

),

common_members as (

    select
        cluster_members.threshold,
        cluster_members.cluster_id,
        previous_cluster_members.cluster_id as previous_id,
        count(*) as n_common
    from cluster_members
    inner join previous_cluster_members
        on cluster_members.threshold = previous_cluster_members.threshold
        and cluster_members.sample_id = previous_cluster_members.sample_id
    where cluster_members.cluster_id is not null
    group by all

),

-- One to one: each is what the other has the largest overlap with.
matched as (

    select *
    from common_members
    qualify
        row_number() over (
            partition by threshold, cluster_id order by n_common desc, previous_id
        ) = 1
        and row_number() over (
            partition by threshold, previous_id order by n_common desc, cluster_id
        ) = 1

),

present as (

    select clusters.threshold, clusters.cluster_id, clusters.n_samples, matched.previous_id
    from clusters
    left join matched
        on clusters.threshold = matched.threshold
        and clusters.cluster_id = matched.cluster_id

),

compared as (

    select
        coalesce(present.threshold, previous_clusters.threshold) as threshold,
        coalesce(present.cluster_id, previous_clusters.cluster_id) as id,
        previous_clusters.cluster_id as previous_id,
        previous_clusters.n_samples as before,
        present.n_samples as after
    from present
    full outer join previous_clusters
        on present.threshold = previous_clusters.threshold
        and present.previous_id = previous_clusters.cluster_id

),

cluster_changes as (

    select
        case
            when before is null then 'cluster_appeared'
            when after is null then 'cluster_vanished'
            when after > before then 'cluster_grown'
            else 'cluster_shrunk'
        end as kind,
        compared.*
    from compared
    inner join thresholds on compared.threshold = thresholds.threshold
    where before is distinct from after

),

final as (

    select changes.*
    from (
        select * from sample_changes
        union all
        select * from cluster_changes
    ) as changes
    inner join build_info on build_info.previous_build is not null

)

select * from final
