{{ config(materialized='view', schema='staging', contract={'enforced': false}) }}

select * from {{ source('lake', 'decided_thresholds') }}
