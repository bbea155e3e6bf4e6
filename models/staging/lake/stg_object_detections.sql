select * from {{ source('lake', 'object_detections') }}
