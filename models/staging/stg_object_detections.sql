{{ config(materialized='view', schema='staging', contract={'enforced': false}) }}

select * from {{ source('lake', 'object_detections') }}
