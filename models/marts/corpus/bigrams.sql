select * from {{ ref('stg_bigrams') }}
