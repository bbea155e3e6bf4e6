-- Which rules reject how many rows of the data, with an example of each.
select
    rule,
    count(*) as n_rows,
    count(distinct source_file) as n_source_files,
    min(observed_value) as an_observed_value
from rejected_rows
group by rule
order by n_rows desc, rule;
