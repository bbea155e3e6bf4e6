-- The prompts of cluster $cluster at $threshold that have scores: one row per generator, prompt, metric and reference,
-- with the threshold that is published.
select
    replication.generator_id,
    generators.model,
    replication.metric,
    replication.reference,
    prompts.prompt_id,
    prompts.keyword_set,
    prompts.family,
    prompts.prompt,
    prompts.cluster_id as named_by,
    replication.n_generations,
    replication.replication_rate,
    replication.background_rate,
    coalesce(
        replication_thresholds.is_distance, regexp_matches(replication.metric, '^(l2|webster)')
    ) as is_distance,
    replication_thresholds.replication_threshold,
    replication_thresholds.method,
    replication_thresholds.reason,
    replication_thresholds.bands
from cluster_members
join prompts
    on prompts.threshold = cluster_members.threshold and prompts.cluster_id = cluster_members.sample_id
join replication using (prompt_id)
left join generators using (generator_id)
left join replication_thresholds
    on replication_thresholds.keyword_set = prompts.keyword_set
    and replication_thresholds.threshold = prompts.threshold
    and replication_thresholds.cluster_id = prompts.cluster_id
    and replication_thresholds.metric = replication.metric
    and replication_thresholds.reference = replication.reference
where cluster_members.threshold = $threshold and cluster_members.cluster_id = $cluster
order by
    replication.generator_id,
    replication.metric,
    list_position(['representatives', 'medoid', 'members', 'keyword_set'], replication.reference),
    prompts.keyword_set,
    list_position(['keywords', 'short', 'long', 'irrelevant', 'without_name'], prompts.family),
    prompts.prompt;
