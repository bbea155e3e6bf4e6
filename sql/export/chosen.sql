-- What stays and what goes at $threshold under $keep_rule. By $rule 'all', every superfluous copy goes;
-- by 'trigger', only copies whose captions say a word set of their cluster, and of at most $max_rows (null: all)
-- those of the clusters where a row that goes takes the most risk with it. The risk of a cluster is the largest
-- among its word sets: replication_risk, or trigger_score where there is none.
create or replace temp table chosen as
with dropped as (
    select sample_id
    from removal_list
    where threshold = $threshold and keep_rule = $keep_rule and action = 'drop'
),
telling as (
    select
        dropped.sample_id,
        cluster_members.cluster_id,
        max(coalesce(
            word_sets.replication_risk,
            word_sets.trigger_score,
            word_sets.ci_low * log2(1 + word_sets.n_in_cluster)
        )) as risk
    from dropped
    join samples using (sample_id)
    join cluster_members on cluster_members.sample_id = dropped.sample_id
    join word_sets using (threshold, cluster_id)
    where cluster_members.threshold = $threshold and list_has_all(samples.words, word_sets.words)
    group by dropped.sample_id, cluster_members.cluster_id
),
-- Whole clusters: half of one would leave copies enough.
clusters_in_order as (
    select cluster_id, sum(count(*)) over (order by max(risk) / count(*) desc, cluster_id) as n_rows
    from telling
    group by cluster_id
),
affordable as (
    select cluster_id from clusters_in_order where n_rows <= coalesce($max_rows::bigint, n_rows)
),
spared as (
    select sample_id
    from dropped
    anti join (from telling semi join affordable using (cluster_id)) as going using (sample_id)
    where $rule = 'trigger'
)
select
    removal_list.sample_id,
    samples.url,
    samples.caption,
    samples.n_rows,
    samples.source_id,
    if(spared.sample_id is null, removal_list.action, 'keep') as action,
    removal_list.representative_sample_id,
    case
        when spared.sample_id is null then removal_list.reason
        when telling.sample_id is null then 'a copy whose caption says no word set of its cluster'
        else 'a copy in a cluster that --max-rows leaves as it is'
    end as reason
from removal_list
join samples using (sample_id)
left join spared using (sample_id)
left join telling using (sample_id)
where removal_list.threshold = $threshold and removal_list.keep_rule = $keep_rule;
