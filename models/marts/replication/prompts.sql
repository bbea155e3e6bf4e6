select * from {{ ref('stg_prompts') }}
