select * from {{ ref('stg_risk_fits') }}
