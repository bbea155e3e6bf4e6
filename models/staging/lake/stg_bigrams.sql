select * from {{ source('lake', 'bigrams') }}
