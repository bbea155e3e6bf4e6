select * from {{ ref('stg_words') }}
