select * from {{ ref('stg_object_detectors') }}
