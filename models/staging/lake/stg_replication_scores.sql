select * from {{ source('lake', 'replication_scores') }}
