-- What goes at $threshold (by default the highest) under $keep_rule (by default best), and which
-- sample stays in its place.
select
    removal_list.representative_sample_id as kept_sample_id,
    kept.caption as kept_caption,
    removal_list.sample_id as dropped_sample_id,
    dropped.caption as dropped_caption,
    dropped.url as dropped_url,
    removal_list.reason
from removal_list
join samples as kept on removal_list.representative_sample_id = kept.sample_id
join samples as dropped on removal_list.sample_id = dropped.sample_id
where
    removal_list.threshold
    = coalesce($threshold::double, (select max(threshold) from cluster_members))
    and removal_list.keep_rule = coalesce($keep_rule::varchar, 'best')
    and removal_list.action = 'drop'
order by kept_sample_id, dropped_sample_id
limit 100;
