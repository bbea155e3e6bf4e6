select * from {{ source('lake', 'cluster_members') }}
