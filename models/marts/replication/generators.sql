select * from {{ ref('stg_generators') }}
