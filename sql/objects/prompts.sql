-- Every prompt in use, ready for filter/row_matches.sql. One row a prompt. $prompts: a parquet file.
create or replace temp table kept_rows as
select
    prompt_id as source_file,
    0 as source_row,
    0 as caption_number,
    token_text(decoded(prompt)) as tokens,
    keyword_set as asked_set,
    family,
    prompt as text
from read_parquet($prompts)
where status = 'ok';
