select * from {{ source('lake', 'build_info') }}
