select * from {{ source('lake', 'decided_thresholds') }}
