-- What to remove at $threshold under $keep_rule, and which kept sample stands for it.
select
    removal_list.sample_id,
    samples.url,
    samples.caption,
    samples.n_rows,
    removal_list.representative_sample_id,
    removal_list.reason
from removal_list
join samples using (sample_id)
where
    removal_list.threshold = $threshold
    and removal_list.keep_rule = $keep_rule
    and removal_list.action = 'drop'
order by removal_list.sample_id;
