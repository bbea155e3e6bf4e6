{{ config(materialized='view', schema='staging', contract={'enforced': false}) }}

select * from {{ source('lake', 'risk_fits') }}
