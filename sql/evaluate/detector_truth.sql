-- What detectors are judged by, one row a generation: its prompt, the group that may be drawn anew for an
-- interval (the cluster asked for), and whether it is a copy by $metric. Asked of the published tables. Needs
-- dbt's macro is_copy.
select
    scores.generator_id,
    scores.prompt_id,
    scores.seed,
    prompts.keyword_set || chr(31) || prompts.cluster_id as cluster,
    is_copy(scores.score, thresholds.replication_threshold, thresholds.is_distance) as is_copy
from replication_scores as scores
join prompts using (prompt_id)
join replication_thresholds as thresholds using (keyword_set, threshold, cluster_id, metric, reference)
where scores.metric = $metric and scores.reference = 'representatives'
order by scores.generator_id, scores.prompt_id, scores.seed;
