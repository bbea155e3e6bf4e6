select * from {{ ref('stg_source_files') }}
