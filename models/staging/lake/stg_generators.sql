select * from {{ source('lake', 'generators') }}
