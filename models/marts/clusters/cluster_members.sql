select * from {{ ref('stg_cluster_members') }}
