select * from {{ source('lake', 'keyword_matches') }}
