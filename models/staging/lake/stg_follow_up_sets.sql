select * from {{ source('lake', 'follow_up_sets') }}
