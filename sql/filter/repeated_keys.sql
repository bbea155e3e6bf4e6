-- Two matching rows of one key and one caption whose images differ, the first ones by file and row: the key,
-- the caption, and both places. Tables kept_rows, byte_keys.
with keyed as (
    select
        coalesce(nullif(kept_rows.url, ''), kept_rows.source_id) as row_key,
        coalesce(kept_rows.caption, '') as caption,
        byte_keys.hash,
        'row ' || kept_rows.source_row || ' of ' || kept_rows.source_file as place,
        row_number() over (order by kept_rows.source_file, kept_rows.source_row) as n
    from kept_rows
    join byte_keys using (source_file, source_row)
    semi join row_matches using (source_file, source_row, caption_number)
)

select
    row_key,
    caption,
    min_by(place, n) as place,
    max_by(place, n) as other_place
from keyed
group by row_key, caption
having count(distinct hash) > 1
order by min(n)
limit 1;
