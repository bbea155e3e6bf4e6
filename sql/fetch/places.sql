-- The rows to fetch, those of one image behind each other: one row a sample, by the place of its image.
-- The places come in the order of their first rows. $by_row: whether each row has an image of its own; else
-- the address or path is its place, and a row without one is a place for itself. Relation samples_to_fetch.
with placed as (
    select
        sample_id,
        url,
        source_file,
        source_row,
        case
            when $by_row then source_file || chr(31) || source_row
            else coalesce(nullif(trim(url), ''), sample_id)
        end as place
    from samples_to_fetch
)

select
    place,
    sample_id,
    url,
    source_file,
    source_row
from placed
order by
    min({'source_file': source_file, 'source_row': source_row}) over (partition by place),
    place,
    sample_id;
