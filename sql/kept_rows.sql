-- The rows of `source` that may leave a trace: candidates for a keyword set, and dirty rows. One
-- pass over the data. $needles: see needles.sql (null: every row is a candidate); a caption with &
-- may say a word only once its entities are decoded, so it is a candidate too. $addresses: see
-- rules.sql.
create or replace temp table kept_rows as
with decoded_rows as (
    -- folded once here: inside the lambda below it would be folded again for each needle
    select *, decoded(caption) as caption_decoded, folded(caption) as caption_folded from source
),
judged as (
    select
        * exclude (caption_folded),
        $needles is null
        or contains(caption, '&')
        or list_bool_or(
            list_transform($needles::varchar[], lambda n: contains(caption_folded, n))
        ) as is_candidate,
        broken_rules(url, caption, caption_decoded, width, height, similarity, $addresses)
            as broken
    from decoded_rows
)
select * from judged where is_candidate or len(broken) > 0;
