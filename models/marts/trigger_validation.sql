select * from {{ ref('stg_trigger_validation') }}
