select * from {{ source('lake', 'rejected_rows') }}
