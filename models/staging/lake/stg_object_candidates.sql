select * from {{ source('lake', 'object_candidates') }}
