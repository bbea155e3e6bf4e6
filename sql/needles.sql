-- The cheap scan's list: for each keyword set one token that no matching caption lacks (the longest
-- of one of its phrases), or the longest of each alternative. Null: a set takes every row.
select case when bool_or(is_everything) then null else list_distinct(flatten(list(needles))) end
from (
    select
        is_everything,
        list_transform(
            case when len(include_tokens) > 0 then include_tokens[:1] else any_tokens end,
            lambda phrase: list_reduce(
                string_split(trim(phrase), ' '),
                lambda longest, token: if(length(token) > length(longest), token, longest)
            )
        ) as needles
    from keyword_sets
);
