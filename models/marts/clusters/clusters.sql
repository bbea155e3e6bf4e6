with clusters as (

    select * from {{ ref('stg_clusters') }}

),

cluster_members as (

    select * from {{ ref('stg_cluster_members') }}

),

marked as (

    select * from {{ ref('int_marked_samples') }} where mark = 'placeholder'

),

-- At another threshold than that of the mark, too, where nothing else is in the cluster.
placeholders as (

    select cluster_members.threshold, cluster_members.cluster_id, count(*) as n_samples
    from cluster_members
    inner join marked on cluster_members.sample_id = marked.sample_id
    group by cluster_members.threshold, cluster_members.cluster_id

),

with_marks as (

    select clusters.*, placeholders.cluster_id is not null as is_marked
    from clusters
    left join placeholders
        on clusters.threshold = placeholders.threshold
        and clusters.cluster_id = placeholders.cluster_id
        and clusters.n_samples = placeholders.n_samples

),

final as (

    select
        * exclude (is_marked) replace (
            is_placeholder or is_marked as is_placeholder,
            coalesce(excluded_reason, if(is_marked, 'placeholder', null)) as excluded_reason
        )
    from with_marks

)

select * from final
