select * from {{ source('lake', 'risk_fits') }}
