-- What stays and what goes at $threshold under $keep_rule. By $rule 'all', every superfluous copy goes;
-- by 'trigger', only copies whose captions say a word set of their cluster.
create or replace temp table chosen as
with dropped as (
    select sample_id
    from removal_list
    where threshold = $threshold and keep_rule = $keep_rule and action = 'drop'
),
telling as (
    select distinct dropped.sample_id
    from dropped
    join samples using (sample_id)
    join cluster_members on cluster_members.sample_id = dropped.sample_id
    join word_sets using (threshold, cluster_id)
    where cluster_members.threshold = $threshold and list_has_all(samples.words, word_sets.words)
),
spared as (
    select sample_id from dropped anti join telling using (sample_id) where $rule = 'trigger'
)
select
    removal_list.sample_id,
    samples.url,
    samples.caption,
    samples.n_rows,
    samples.source_id,
    if(spared.sample_id is null, removal_list.action, 'keep') as action,
    removal_list.representative_sample_id,
    if(
        spared.sample_id is null,
        removal_list.reason,
        'a copy whose caption says no word set of its cluster'
    ) as reason
from removal_list
join samples using (sample_id)
left join spared using (sample_id)
where removal_list.threshold = $threshold and removal_list.keep_rule = $keep_rule;
