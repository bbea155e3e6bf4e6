with source as (

    select * from {{ source('lake', 'images') }}

),

renamed as (

    select
        sample_id,
        status as image_status,
        status_reason as image_reason,
        original_width,
        original_height,
        n_bytes,
        sha256,
        perceptual_hash,
        colour_stddev,
        fetched_at
    from source

)

select * from renamed
