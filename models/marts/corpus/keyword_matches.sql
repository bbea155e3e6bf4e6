select * from {{ ref('stg_keyword_matches') }}
