select * from {{ ref('stg_word_sets') }}
