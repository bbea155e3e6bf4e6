select * from {{ source('lake', 'word_sets') }}
