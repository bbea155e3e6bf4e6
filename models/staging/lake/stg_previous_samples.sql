select * from {{ source('lake', 'previous_samples') }}
