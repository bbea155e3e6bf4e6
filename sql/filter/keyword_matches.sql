-- One row a keyword set and sample.
create or replace temp table keyword_matches as
select distinct
    row_matches.keyword_set,
    sample_id_of(kept_rows.url, kept_rows.caption, kept_rows.source_id) as sample_id
from row_matches
join kept_rows using (source_file, source_row, caption_number)
order by all;
