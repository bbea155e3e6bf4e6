-- One row a sample whose image was never asked for, which has no row in the Lance table `images`, and
-- one whose address is on the web and was last asked before $again; is_again is true of the latter.
-- $samples: the parquet file of samples; $again: a time, or null. Relation stored_images (sample_id,
-- fetched_at).
create or replace temp table samples_to_fetch as
select
    samples.sample_id,
    samples.url,
    samples.source_file,
    samples.source_row,
    stored_images.sample_id is not null as is_again
from read_parquet($samples) as samples
left join stored_images using (sample_id)
where
    samples.status = 'ok'
    and (
        stored_images.sample_id is null
        or (
            stored_images.fetched_at < $again::timestamptz
            and regexp_matches(samples.url, '^\s*https?://', 'i')
        )
    );
