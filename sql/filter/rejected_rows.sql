-- One row a dirty source row and rule that it breaks, whether it matches a keyword set or not. A row
-- whose caption, url or id is not UTF-8 (invalid_utf8), or that cannot be read (unreadable), is no
-- sample: which one cannot be told. Its texts have the odd bytes escaped. Tables kept_rows, unreadable_rows.
create or replace temp table rejected_rows as
select
    source_file,
    source_row,
    caption_number,
    problem.rule as rule,
    problem.observed_value as observed_value,
    url,
    caption
from (select *, unnest(broken) as problem from kept_rows)
union all
select source_file, source_row, 0 as caption_number, rule, observed_value, url, caption
from unreadable_rows
order by source_file, source_row, caption_number, rule;
