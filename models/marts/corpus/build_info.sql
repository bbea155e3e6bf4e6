with build_info as (

    select * from {{ ref('stg_build_info') }}

),

image_vectors as (

    select * from {{ ref('stg_image_vectors') }}

),

final as (

    select
        *,
        (select min(clip_id) from image_vectors) as clip_id -- they all have the same
    from build_info

)

select * from final
