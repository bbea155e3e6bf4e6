{{ config(materialized='view', schema='staging', contract={'enforced': false}) }}

select * from {{ source('lake', 'previous_cluster_members') }}
