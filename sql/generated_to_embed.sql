-- The generated images that lack a vector, by their places in the Lance table. Relations stored_images
-- (image_id, _rowoffset) and embedded (image_id).
select stored_images.image_id, stored_images._rowoffset
from stored_images
anti join embedded on stored_images.image_id = embedded.image_id
order by stored_images._rowoffset;
