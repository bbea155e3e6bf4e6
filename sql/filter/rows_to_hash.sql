-- The matching rows whose image has to be hashed: those without a url and a key, which it identifies, and
-- those that share a key and a caption with another row, which must have the same. An address is a key
-- whatever comes from it. One row a source row; is_key is true where the image identifies it.
create or replace temp table rows_to_hash as
with matched as (
    select distinct source_file, source_row, url, source_id, caption
    from kept_rows
    semi join row_matches using (source_file, source_row, caption_number)
),

keyed as (
    select
        source_file,
        source_row,
        coalesce(nullif(url, ''), source_id) is null as is_key,
        count(distinct (source_file, source_row)) over (
            partition by coalesce(nullif(url, ''), source_id), caption
        ) as n_rows,
        coalesce(regexp_matches(url, '^\s*https?://', 'i'), false) as is_address
    from matched
)

select source_file, source_row, bool_or(is_key) as is_key
from keyed
where is_key or (n_rows > 1 and not is_address)
group by source_file, source_row;
