-- One row a sample whose image is there and that lacks the vector of its image or of its caption, or
-- where $copies is true the one of copies; row_offset is its place in the Lance table `images`.
-- $samples: the parquet file of samples. Relations stored_images (sample_id, _rowoffset),
-- image_vectors (sample_id), caption_vectors (sample_id), copy_vectors (sample_id).
create or replace temp table samples_to_embed as
select
    samples.sample_id,
    coalesce(samples.caption, '') as caption,
    stored_images._rowoffset as row_offset,
    image_vectors.sample_id is null as lacks_image_vector,
    caption_vectors.sample_id is null as lacks_caption_vector,
    $copies and copy_vectors.sample_id is null as lacks_copy_vector,
    samples.source_file,
    samples.source_row
from read_parquet($samples) as samples
join stored_images on stored_images.sample_id = samples.sample_id
left join image_vectors on image_vectors.sample_id = samples.sample_id
left join caption_vectors on caption_vectors.sample_id = samples.sample_id
left join copy_vectors on copy_vectors.sample_id = samples.sample_id
where
    samples.status = 'ok' and (lacks_image_vector or lacks_caption_vector or lacks_copy_vector);
