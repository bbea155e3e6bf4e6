select * from {{ ref('stg_object_detections') }}
