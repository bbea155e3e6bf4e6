-- The exact rule: which row matches which keyword set. One row a match. Only those sets are asked
-- of which the caption says a needle.
create or replace temp table row_matches as
with said as (
    select source_file, source_row, caption_number, tokens, unnest(string_split(trim(tokens), ' ')) as token
    from kept_rows
    where tokens is not null
),
possible as (
    select distinct source_file, source_row, caption_number, tokens, keyword_set
    from said
    join needles using (token)
)
select source_file, source_row, caption_number, keyword_set
from possible
join keyword_sets using (keyword_set)
where
    coalesce(list_bool_and(list_transform(
        include_tokens, lambda phrase: contains(tokens, phrase))), true)
    and coalesce(list_bool_or(list_transform(
        any_tokens, lambda phrase: contains(tokens, phrase))), true)
    and not coalesce(list_bool_or(list_transform(
        exclude_tokens, lambda phrase: contains(tokens, phrase))), false)
union all
select source_file, source_row, caption_number, keyword_set
from kept_rows, keyword_sets
where is_everything;
