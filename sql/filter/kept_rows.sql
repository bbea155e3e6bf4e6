-- The rows of `source` that may leave a trace: those that may match a keyword set, and those that may
-- be dirty. One pass over the data; what it costs on every row is a text search and comparisons.
-- tokens: the token text of the caption if it may say a needle, else null.
-- $takes_all, $in_any_case, $in_folded: see needle_patterns.sql. $addresses: see rules.sql.
create or replace temp table kept_rows as
with kept as (
    select *
    from source
    where
        $takes_all
        or may_say(caption, $in_any_case, $in_folded)
        -- an entity may be a letter of a needle
        or may_have_entity(caption)
        or may_be_dirty(url, caption, width, height, similarity, $addresses)
),
decoded_rows as (
    select *, decoded(caption) as caption_decoded from kept
)
select
    *,
    case
        when may_say(caption_decoded, $in_any_case, $in_folded) then token_text(caption_decoded)
    end as tokens,
    case
        when may_be_dirty(url, caption, width, height, similarity, $addresses)
            then broken_rules(url, caption, caption_decoded, width, height, similarity, $addresses)
        else []
    end as broken
from decoded_rows;
