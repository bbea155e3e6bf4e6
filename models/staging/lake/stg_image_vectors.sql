with source as (

    select * from {{ source('lake', 'image_vectors') }}

),

renamed as (

    select
        sample_id,
        status as vector_status,
        clip_id
    from source

)

select * from renamed
