-- The replication thresholds that a person decided on, one row a keyword set, threshold, prompted cluster, metric
-- and reference, as replication_thresholds has them; the latest where several are of one cluster by now. Where the
-- study sets one by hand, that one stays. $decided, $fixed (replication thresholds), $prompts, $cluster_members:
-- parquet files.
with fixed as (
    from read_parquet($fixed)
),
-- A sample that is asked for alone is in no cluster.
members as (
    select threshold, sample_id, coalesce(cluster_id, sample_id) as present
    from read_parquet($cluster_members)
),
prompted as (
    select distinct prompts.keyword_set, prompts.threshold, prompts.cluster_id, members.present
    from read_parquet($prompts) as prompts
    join members on prompts.threshold = members.threshold and prompts.cluster_id = members.sample_id
)
select
    prompted.keyword_set,
    prompted.threshold,
    prompted.cluster_id,
    decided.metric,
    decided.reference,
    decided.replication_threshold,
    decided.is_distance,
    -- Whoever sees generations before the threshold is set has looked.
    if(decided.n_generations > 0, 'exploratory', 'manual') as method,
    format(
        'set in the explorer on {}, with {} generations to look at',
        strftime(decided.decided_at, '%Y-%m-%d'), decided.n_generations
    ) as reason,
    null::bigint as n_non_copies,
    decided.bands
from read_parquet($decided) as decided
join members using (threshold, sample_id)
join prompted on prompted.threshold = decided.threshold and prompted.present = members.present
anti join (from fixed where method <> 'suggested') as of_study
    on of_study.keyword_set = prompted.keyword_set
    and of_study.threshold = prompted.threshold
    and of_study.cluster_id = prompted.cluster_id
    and of_study.metric = decided.metric
    and of_study.reference = decided.reference
qualify row_number() over (
    partition by prompted.keyword_set, prompted.threshold, prompted.cluster_id, decided.metric, decided.reference
    order by decided.decided_at desc, decided.sample_id
) = 1
order by all;
