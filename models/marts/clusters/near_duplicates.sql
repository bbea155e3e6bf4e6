select * from {{ ref('stg_near_duplicates') }}
