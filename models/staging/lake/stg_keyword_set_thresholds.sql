select * from {{ source('lake', 'keyword_set_thresholds') }}
