select * from {{ source('lake', 'cluster_thresholds') }}
