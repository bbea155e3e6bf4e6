-- One row per threshold and keep rule: how many samples would stay and how many would go.
select
    threshold,
    keep_rule,
    count(*) as n_samples,
    count(*) filter (where action = 'keep') as n_keep,
    count(*) filter (where action = 'drop') as n_drop,
    count(*) filter (where action = 'drop') / count(*) as share_drop
from removal_list
group by threshold, keep_rule
order by threshold, keep_rule;
