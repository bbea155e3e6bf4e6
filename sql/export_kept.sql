-- What to keep at $threshold under $keep_rule.
select
    removal_list.sample_id,
    samples.url,
    samples.caption,
    samples.n_rows,
    removal_list.reason
from removal_list
join samples using (sample_id)
where
    removal_list.threshold = $threshold
    and removal_list.keep_rule = $keep_rule
    and removal_list.action = 'keep'
order by removal_list.sample_id;
