with samples as (

    select * from {{ ref('stg_samples') }}

),

images as (

    select * from {{ ref('stg_images') }}

),

image_vectors as (

    select * from {{ ref('stg_image_vectors') }}

),

joined as (

    select
        samples.*,
        images.image_status,
        images.image_reason,
        images.original_width,
        images.original_height,
        images.sha256,
        images.perceptual_hash,
        images.colour_stddev,
        image_vectors.vector_status
    from samples
    left join images on samples.sample_id = images.sample_id
    left join image_vectors on samples.sample_id = image_vectors.sample_id

),

placed as (

    select
        *,
        case
            when filter_status = 'rejected' then 'rejected'
            when vector_status = 'ok' then 'embedded'
            when vector_status is not null then 'embed_failed'
            when image_status is null then 'pending'
            when image_status <> 'ok' then 'fetch_failed'
            else 'fetched'
        end as status
    from joined

),

final as (

    select
        sample_id,
        url,
        domain,
        caption,
        width,
        height,
        license,
        nsfw,
        similarity,
        n_rows,
        caption_decoded,
        clip_tokens,
        words,
        status,
        case status
            when 'rejected' then filter_reason
            when 'fetch_failed' then concat_ws(': ', image_status, image_reason)
            when 'embed_failed' then vector_status
        end as status_reason,
        image_status,
        vector_status,
        original_width,
        original_height,
        sha256,
        perceptual_hash,
        colour_stddev,
        source_file,
        source_row,
        source_id
    from placed

)

select * from final
