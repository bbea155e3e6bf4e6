with fixed as (

    select * from {{ ref('stg_replication_thresholds') }}

),

decided as (

    select * from {{ ref('stg_decided_thresholds') }}

),

final as (

    select fixed.*
    from fixed
    anti join decided using (keyword_set, threshold, cluster_id, metric, reference)
    union all by name
    select * from decided

)

select * from final
