-- One row per rule: source rows that break it, whether or not their caption matches a keyword set.
select rule, count(*) as n_rows
from rejected_rows
group by rule
order by n_rows desc, rule;
