-- One row an image to evaluate a model on, at most $limit: the samples that are embedded, in an order
-- that $seed and the sample_id alone decide. $samples: the parquet file of samples. With $named_only,
-- those of the relation named (sample_id). Relations stored_images, image_vectors, caption_vectors
-- (sample_id, _rowoffset); the three offsets are places in the Lance tables of these names.
select
    samples.sample_id,
    coalesce(samples.caption, '') as caption,
    samples.source_file,
    samples.source_row,
    stored_images._rowoffset as image_offset,
    image_vectors._rowoffset as image_vector_offset,
    caption_vectors._rowoffset as caption_vector_offset
from read_parquet($samples) as samples
join stored_images on stored_images.sample_id = samples.sample_id
join image_vectors on image_vectors.sample_id = samples.sample_id
join caption_vectors on caption_vectors.sample_id = samples.sample_id
where
    samples.status = 'ok'
    and (not $named_only or samples.sample_id in (select sample_id from named))
order by md5($seed || samples.sample_id), samples.sample_id
limit $limit;
