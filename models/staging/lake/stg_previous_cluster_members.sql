select * from {{ source('lake', 'previous_cluster_members') }}
