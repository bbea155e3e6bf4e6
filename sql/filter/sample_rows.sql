-- The source rows of the matched samples: one row a matched source row, which names its sample. Tables kept_rows,
-- row_matches.
create or replace temp view sample_rows as
select sample_id_of(url, caption, source_id) as sample_id, source_file, source_row, source_id
from kept_rows
semi join row_matches using (source_file, source_row, caption_number)
order by sample_id, source_file, source_row, caption_number;
