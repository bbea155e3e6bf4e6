with source as (

    select * from {{ source('lake', 'runs') }}

),

typed as (

    select
        * replace (
            -- The lake writes ISO 8601 with +00:00: UTC, whatever the reader's time zone.
            cast(started_at as timestamp) as started_at,
            cast(finished_at as timestamp) as finished_at
        )
    from source

)

select * from typed
