select * from {{ ref('stg_replication_by_family') }}
