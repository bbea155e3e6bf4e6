-- One row a dirty source row and rule that it breaks, whether it matches a keyword set or not.
create or replace temp table rejected_rows as
select
    source_file,
    source_row,
    problem.rule as rule,
    problem.observed_value as observed_value,
    url,
    caption
from (select *, unnest(broken) as problem from kept_rows)
order by source_file, source_row, rule;
