select * from {{ source('lake', 'object_detectors') }}
