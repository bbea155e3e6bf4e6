select * from {{ ref('stg_cluster_thresholds') }}
