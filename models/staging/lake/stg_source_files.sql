select * from {{ source('lake', 'source_files') }}
