-- How many changes of each kind the last build made.
select kind, count(*) as n_changes
from changes
group by kind
order by kind desc;
