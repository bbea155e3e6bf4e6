-- What goes at $threshold (by default the highest) under $keep_rule (by default best), and which
-- sample stays in its place: a hundred of them; removal_list_at lists all.
with goes as (

    select representative_sample_id, sample_id, reason
    from removal_list
    where
        threshold = coalesce($threshold::double, (select max(threshold) from cluster_members))
        and keep_rule = coalesce($keep_rule::varchar, 'best')
        and action = 'drop'
    limit 100 -- any: to sort millions first takes seconds

)

select
    goes.representative_sample_id as kept_sample_id,
    kept.caption as kept_caption,
    goes.sample_id as dropped_sample_id,
    dropped.caption as dropped_caption,
    dropped.url as dropped_url,
    goes.reason
from goes
join samples as kept on goes.representative_sample_id = kept.sample_id
join samples as dropped on goes.sample_id = dropped.sample_id
order by kept_sample_id, dropped_sample_id;
