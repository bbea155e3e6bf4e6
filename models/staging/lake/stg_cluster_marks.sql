select * from {{ source('lake', 'cluster_marks') }}
