-- The samples whose caption has a vector, though their image was lost since then, and its vector with it.
-- Relations caption_vectors (sample_id), image_vectors (sample_id), refused_images (sample_id).
select sample_id
from caption_vectors
semi join refused_images using (sample_id)
anti join image_vectors using (sample_id);
