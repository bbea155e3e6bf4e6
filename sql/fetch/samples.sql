-- One row a sample whose image was never asked for: it has no row in the Lance table `images`.
-- $samples: the parquet file of samples. Relation stored_images (sample_id).
create or replace temp table samples_to_fetch as
select samples.sample_id, samples.url, samples.source_file, samples.source_row
from read_parquet($samples) as samples
anti join stored_images using (sample_id)
where samples.status = 'ok';
