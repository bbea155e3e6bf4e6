select * from {{ source('lake', 'replication_by_family') }}
