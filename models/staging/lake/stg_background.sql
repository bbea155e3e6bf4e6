select * from {{ source('lake', 'background') }}
