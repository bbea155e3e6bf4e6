select * from {{ ref('stg_generations') }}
