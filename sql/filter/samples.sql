-- One row a matched sample, as it is kept. clip_tokens is null where the caption is so short that it need
-- not be counted. Tables distinct_samples, clip_tokens.
create or replace temp table samples as
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
from distinct_samples
left join clip_tokens using (sample_id)
order by sample_id;
