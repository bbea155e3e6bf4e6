-- One row a sample that is asked for: by what it is read, and what its place holds today; is_gone: no
-- file is there.
-- $samples: the parquet file of samples; $by_row: whether a place is a file of the source, which has an
-- image a row, or what a url names. Table image_places (place, content).
create or replace temp table image_origins as
with places as (
    select place, any_value(content) as content from image_places group by place
)
select
    samples.sample_id,
    samples.url,
    samples.source_file,
    samples.source_row,
    places.content || if($by_row, samples.source_row::varchar, '') as origin,
    contains(places.content, 'gone') as is_gone
from read_parquet($samples) as samples
join places on places.place = if($by_row, samples.source_file, coalesce(samples.url, ''))
where samples.status = 'ok';
