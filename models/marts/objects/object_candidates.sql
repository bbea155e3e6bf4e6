select * from {{ ref('stg_object_candidates') }}
