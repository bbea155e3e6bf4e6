-- How the images of the samples ended, the most common status first.
-- $samples: the parquet file of samples. Relation stored_images (sample_id, status, status_reason).
with outcomes as (
    select
        stored_images.status,
        stored_images.status_reason,
        samples.url,
        {'source_file': samples.source_file, 'source_row': samples.source_row} as place
    from read_parquet($samples) as samples
    join stored_images using (sample_id)
    where samples.status = 'ok'
),
counted as (
    select
        status,
        count(*) as n,
        min(place) as first_place,
        arg_min(url, place) as tried,
        arg_min(status_reason, place) as reason
    from outcomes
    group by status
)
select status, n, first_place.source_file, first_place.source_row, tried, reason
from counted
order by n desc, status;
