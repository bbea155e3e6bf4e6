with marks as (

    select * from {{ ref('stg_cluster_marks') }}

),

cluster_members as (

    select * from {{ ref('cluster_members') }}

),

clusters as (

    select * from {{ ref('clusters') }}

),

final as (

    select
        marks.threshold,
        marks.sample_id,
        cluster_members.cluster_id,
        marks.mark,
        clusters.n_samples,
        marks.decided_at
    from marks
    left join cluster_members
        on marks.threshold = cluster_members.threshold
        and marks.sample_id = cluster_members.sample_id
    left join clusters
        on cluster_members.threshold = clusters.threshold
        and cluster_members.cluster_id = clusters.cluster_id

)

select * from final
