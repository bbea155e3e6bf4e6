select * from {{ source('lake', 'trigger_validation') }}
