-- The rows to fetch, those of one image behind each other: one row a sample, by the place of its image.
-- $by_row: whether each row has an image of its own; else the address or path is its place, and a row without
-- one is a place for itself. The places come in the order of their first rows; on the web, where $in_turn is not
-- null, so many of one host and then so many of the next, that none waits for another.
-- Relation samples_to_fetch.
with placed as (
    select
        sample_id,
        url,
        source_file,
        source_row,
        case
            when $by_row then source_file || chr(31) || source_row
            else coalesce(nullif(address_of(url), ''), sample_id)
        end as place
    from samples_to_fetch
),

first_rows as (
    select
        place,
        min({'source_file': source_file, 'source_row': source_row}) as first_row,
        if($in_turn is null, null, any_value(domain_of(url))) as domain
    from placed
    group by place
),

ordered as (
    select
        place,
        first_row,
        (row_number() over (partition by domain order by first_row) - 1) // $in_turn::bigint as round,
        if($in_turn is null, null, min(first_row) over (partition by domain)) as first_of_domain
    from first_rows
)

select
    placed.place,
    placed.sample_id,
    placed.url,
    placed.source_file,
    placed.source_row
from placed
join ordered using (place)
order by
    ordered.round,
    ordered.first_of_domain,
    ordered.first_row,
    placed.place,
    placed.sample_id;
