-- One row a sample that lacks a vector and has one in the imported files: the place of the first.
-- $samples: the parquet file of samples; $captions: whether there are files of caption vectors.
-- View source: the metadata. Relations image_vectors (sample_id), caption_vectors (sample_id).
create or replace temp table vectors_to_import as
with found as (
    select sample_id_of(url, caption, source_id) as sample_id, source_file, source_row from source
),
wanted as (
    select
        samples.sample_id,
        image_vectors.sample_id is null as lacks_image_vector,
        $captions and caption_vectors.sample_id is null as lacks_caption_vector
    from read_parquet($samples) as samples
    left join image_vectors on image_vectors.sample_id = samples.sample_id
    left join caption_vectors on caption_vectors.sample_id = samples.sample_id
    where samples.status = 'ok' and (lacks_image_vector or lacks_caption_vector)
)
select wanted.*, found.source_file, found.source_row
from wanted
join found on found.sample_id = wanted.sample_id
qualify row_number() over (
    partition by wanted.sample_id order by found.source_file, found.source_row
) = 1;
