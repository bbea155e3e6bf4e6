-- The study's keyword sets ($keyword_sets), their phrases as token texts, ready for contains().
-- One row a keyword set.
create or replace temp table keyword_sets as
with given as (
    select unnest($keyword_sets::struct(
        keyword_set varchar, include varchar[], any_of varchar[], exclude varchar[],
        parent_keyword_set varchar
    )[], recursive := true)
)
select
    *,
    include = ['*'] as is_everything,
    list_transform(include, lambda p: token_text(p)) as include_tokens,
    list_transform(any_of, lambda p: token_text(p)) as any_tokens,
    list_transform(exclude, lambda p: token_text(p)) as exclude_tokens
from given;
