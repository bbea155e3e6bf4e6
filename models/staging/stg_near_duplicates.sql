{{ config(materialized='view', schema='staging', contract={'enforced': false}) }}

select * from {{ source('lake', 'near_duplicates') }}
