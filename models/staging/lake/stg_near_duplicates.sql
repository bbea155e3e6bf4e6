select * from {{ source('lake', 'near_duplicates') }}
