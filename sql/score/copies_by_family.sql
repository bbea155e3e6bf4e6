-- What each prompt's seeds came to, one row a generator, keyword set, metric, reference, family, cluster
-- and prompt: the seeds, ascending, and whether each one's image is a copy. $scores, $prompts: parquet files.
-- Relation thresholds: those in force. Needs dbt's macro is_copy.
select
    scores.generator_id,
    prompts.keyword_set,
    scores.metric,
    scores.reference,
    prompts.family,
    prompts.cluster_id,
    scores.prompt_id,
    list(scores.seed order by scores.seed) as seeds,
    list(
        is_copy(scores.score, thresholds.replication_threshold, thresholds.is_distance)
        order by scores.seed
    ) as is_copy
from read_parquet($scores) as scores
join read_parquet($prompts) as prompts on scores.prompt_id = prompts.prompt_id
join thresholds
    on prompts.keyword_set = thresholds.keyword_set
    and prompts.threshold = thresholds.threshold
    and prompts.cluster_id = thresholds.cluster_id
    and scores.metric = thresholds.metric
    and scores.reference = thresholds.reference
group by
    scores.generator_id,
    prompts.keyword_set,
    scores.metric,
    scores.reference,
    prompts.family,
    prompts.cluster_id,
    scores.prompt_id
order by all;
