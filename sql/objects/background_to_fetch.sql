-- Of the background those samples whose image was never asked for. Relations object_background,
-- stored_images (sample_id), stored_background (sample_id).
create or replace temp table samples_to_fetch as
select sample_id, url, source_file, source_row
from object_background
anti join stored_images using (sample_id)
anti join stored_background using (sample_id);
