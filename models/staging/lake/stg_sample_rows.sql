select * from {{ source('lake', 'sample_rows') }}
