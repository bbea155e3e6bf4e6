-- What the cheap scan looks for: of each keyword set one token that no matching caption lacks, the
-- longest of its `include`, or else the longest of each alternative. One row a keyword set and token.
create or replace temp table needles as
with phrases as (
    select
        keyword_set,
        unnest(
            if(len(include_tokens) > 0, [array_to_string(include_tokens, ' ')], any_tokens)
        ) as phrase
    from keyword_sets
    where not is_everything
)
select distinct
    keyword_set,
    list_reduce(
        string_split(trim(regexp_replace(phrase, ' +', ' ', 'g')), ' '),
        lambda longest, token: if(length(token) > length(longest), token, longest)
    ) as token
from phrases;
