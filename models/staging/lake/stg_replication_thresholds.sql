select * from {{ source('lake', 'replication_thresholds') }}
