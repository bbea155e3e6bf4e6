select * from {{ ref('stg_replication_scores') }}
