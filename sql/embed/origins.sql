-- The origin of each sample's vector of one kind; what is noted for samples that are not asked for
-- stays.
-- $samples: the parquet file of samples; $captions: which kind. Tables imported_places, noted_origins.
create or replace temp table vector_origins as
select sample_id, if($captions, caption_origin, image_origin) as origin
from imported_places
where origin is not null
union all
select noted_origins.*
from noted_origins
anti join (
    select sample_id from read_parquet($samples) where status = 'ok'
) using (sample_id);
