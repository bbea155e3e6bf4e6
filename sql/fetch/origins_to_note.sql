-- One row a sample: what its image is read from; of samples that are not asked for, what is noted.
-- Tables image_origins, noted_origins.
create or replace temp table origins_to_note as
select sample_id, origin from image_origins
union all
select noted_origins.sample_id, noted_origins.origin
from noted_origins
anti join image_origins using (sample_id);
