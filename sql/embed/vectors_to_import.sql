-- One row a sample that lacks a vector and has one in the imported files: the place of the first.
-- $captions: whether there are files of caption vectors. Table imported_places. Relations
-- image_vectors (sample_id), caption_vectors (sample_id).
create or replace temp table vectors_to_import as
select
    places.sample_id,
    places.source_file,
    places.source_row,
    image_vectors.sample_id is null as lacks_image_vector,
    $captions and caption_vectors.sample_id is null as lacks_caption_vector
from imported_places as places
left join image_vectors on image_vectors.sample_id = places.sample_id
left join caption_vectors on caption_vectors.sample_id = places.sample_id
where lacks_image_vector or lacks_caption_vector;
