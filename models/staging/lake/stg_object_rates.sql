select * from {{ source('lake', 'object_rates') }}
