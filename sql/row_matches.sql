-- The exact rule: which candidate row matches which keyword set. One row a match.
create or replace temp table row_matches as
with candidates as (
    -- A null caption has no token; left null it would make every condition below unknown.
    select source_file, source_row, token_text(coalesce(caption_decoded, '')) as tokens
    from kept_rows
    where is_candidate
)
select candidates.source_file, candidates.source_row, keyword_sets.keyword_set
from candidates, keyword_sets
where keyword_sets.is_everything or (
    coalesce(list_bool_and(list_transform(
        keyword_sets.include_tokens, lambda phrase: contains(candidates.tokens, phrase))), true)
    and coalesce(list_bool_or(list_transform(
        keyword_sets.any_tokens, lambda phrase: contains(candidates.tokens, phrase))), true)
    and not coalesce(list_bool_or(list_transform(
        keyword_sets.exclude_tokens, lambda phrase: contains(candidates.tokens, phrase))), false)
);
