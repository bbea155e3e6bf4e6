select * from {{ ref('stg_build_info') }}
