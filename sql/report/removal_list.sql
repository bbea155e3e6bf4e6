-- One row per threshold and keep rule: how many samples would stay, how many would go, and
-- how many could not be judged.
select
    threshold,
    keep_rule,
    count(*) as n_samples,
    count(*) filter (where action = 'keep') as n_keep,
    count(*) filter (where action = 'drop') as n_drop,
    count(*) filter (where action = 'not_judged') as n_not_judged,
    count(*) filter (where action = 'drop')
    / nullif(count(*) filter (where action <> 'not_judged'), 0) as share_drop
from removal_list
group by threshold, keep_rule
order by threshold, keep_rule;
