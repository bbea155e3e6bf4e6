select * from {{ source('lake', 'keyword_sets') }}
