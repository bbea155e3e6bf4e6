-- How many samples have a vector of their image ('ok'), and why the others have none, the most common first.
-- $samples: the parquet file of samples. Relation image_vectors (sample_id, status).
with outcomes as (
    select
        case
            when image_vectors.status is not null then image_vectors.status
            when $is_imported then 'not_in_the_metadata'
            else 'no_image'
        end as status,
        samples.url,
        {'source_file': samples.source_file, 'source_row': samples.source_row} as place
    from read_parquet($samples) as samples
    left join image_vectors using (sample_id)
    where samples.status = 'ok'
),
counted as (
    select status, count(*) as n, min(place) as first_place, arg_min(url, place) as tried
    from outcomes
    group by status
)
select status, n, first_place.source_file, first_place.source_row, tried, null as reason
from counted
order by n desc, status;
