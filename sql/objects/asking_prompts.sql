-- The prompts that say the keyword of their set. One row a prompt.
create or replace temp table asking_prompts as
select
    kept_rows.source_file as prompt_id,
    kept_rows.asked_set as keyword_set,
    kept_rows.family,
    kept_rows.text
from kept_rows
semi join row_matches
    on row_matches.source_file = kept_rows.source_file
    and row_matches.keyword_set = kept_rows.asked_set;
