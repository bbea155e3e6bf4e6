select * from {{ ref('stg_sample_rows') }}
