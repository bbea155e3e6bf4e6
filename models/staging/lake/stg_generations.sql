select * from {{ source('lake', 'generations') }}
