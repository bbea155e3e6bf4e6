select * from {{ source('lake', 'prompt_scores') }}
