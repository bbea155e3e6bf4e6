select * from {{ source('lake', 'words') }}
