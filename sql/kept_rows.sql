-- The rows of `source` that may leave a trace: those that may match a keyword set, and those that may
-- be dirty. One pass over the data; what it costs on every row is a text search and comparisons.
-- $in_raw, $in_folded: see needle_patterns.sql. $addresses: see rules.sql.
create or replace temp table kept_rows as
with kept as (
    select *
    from source
    where
        regexp_matches(caption, $in_raw)
        -- an entity may be a letter of a needle
        or (contains(caption, '&') and regexp_matches(caption, '&[#a-zA-Z]'))
        or (
            $in_folded::varchar is not null
            and strlen(caption) != length(caption)
            and regexp_matches(folded(caption), $in_folded)
        )
        or may_be_dirty(url, caption, width, height, similarity, $addresses)
),
decoded_rows as (
    select *, decoded(caption) as caption_decoded from kept
)
select
    *,
    broken_rules(url, caption, caption_decoded, width, height, similarity, $addresses) as broken
from decoded_rows;
