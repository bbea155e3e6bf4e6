select * from {{ ref('stg_prompt_scores') }}
