-- One row a matched sample: the rows that share url and caption are one, with n_rows. The clean row
-- that comes first speaks for it; a sample is rejected when each of its rows is. clip_tokens is null
-- where the caption is so short that it need not be counted.
create or replace temp table samples as
with matched_rows as (
    select
        *,
        sample_id_of(url, caption, source_id) as sample_id,
        list_transform(broken, lambda b: b.rule) as rules
    from kept_rows
    semi join row_matches using (source_file, source_row)
),
ranked as (
    select
        *,
        count(*) over (partition by sample_id) as n_rows,
        row_number() over (
            partition by sample_id order by len(rules) > 0, source_file, source_row
        ) as place
    from matched_rows
),
counted as (
    select *, clip_tokens_if_long(caption, $max_clip_tokens) as clip_tokens
    from ranked
    where place = 1
)
select
    sample_id,
    url,
    caption,
    try_cast(width as integer) as width,
    try_cast(height as integer) as height,
    license,
    nsfw,
    similarity,
    n_rows,
    caption_decoded,
    clip_tokens,
    words_of(caption_decoded) as words,
    if(len(rules) = 0 and coalesce(clip_tokens <= $max_clip_tokens, true), 'ok', 'rejected') as status,
    case
        when len(rules) > 0 then array_to_string(rules, ', ')
        when clip_tokens > $max_clip_tokens then 'over_' || $max_clip_tokens || '_clip_tokens'
    end as status_reason,
    source_file,
    source_row,
    source_id
from counted
order by sample_id;
