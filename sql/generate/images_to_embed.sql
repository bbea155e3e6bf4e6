-- The generated images that lack a vector, or where $copies is true the one of copies; row_offset is the
-- place in the Lance table `generated_images`. Relations stored_images (image_id, _rowoffset), vectors
-- (image_id), copy_vectors (image_id).
select
    stored_images.image_id,
    stored_images._rowoffset as row_offset,
    vectors.image_id is null as lacks_vector,
    $copies and copy_vectors.image_id is null as lacks_copy_vector
from stored_images
left join vectors on vectors.image_id = stored_images.image_id
left join copy_vectors on copy_vectors.image_id = stored_images.image_id
where lacks_vector or lacks_copy_vector
order by row_offset;
