-- One row per generator and cluster that was asked for: the word set of its largest trigger score, made of the
-- plain interval where none is honest, beside the mean rate at which its prompts bring copies back, and
-- Spearman's correlation of the two over all of them, null where one does not vary.
with told as (
    select *
    from replication
    where
        metric in ('clip', 'l2_relative')
        and reference = 'representatives'
        and replication_rate is not null
    -- 'l2_relative', where there is one
    qualify metric = max(metric) over (partition by generator_id, prompt_id)
),
rates as (
    select
        told.generator_id,
        prompts.keyword_set,
        prompts.threshold,
        cluster_members.cluster_id,
        told.metric,
        avg(told.replication_rate) as replication_rate,
        cast(sum(told.n_generations) as bigint) as n_generations
    from told
    join prompts using (prompt_id)
    join cluster_members
        on prompts.threshold = cluster_members.threshold
        and prompts.cluster_id = cluster_members.sample_id
    where prompts.family <> 'without_name'
    group by all
),
scored as (
    select
        keyword_set,
        threshold,
        cluster_id,
        array_to_string(words, ' + ') as words,
        coalesce(trigger_score, ci_low * log2(1 + n_in_cluster)) as trigger_score,
        n_in_cluster
    from word_sets
    qualify row_number() over (
        partition by keyword_set, threshold, cluster_id
        order by coalesce(trigger_score, ci_low * log2(1 + n_in_cluster)) desc, len(words), words
    ) = 1
),
-- Of equal values each has the mean of their ranks.
ranked as (
    select
        *,
        rank() over (partition by generator_id order by replication_rate)
        + count(*) over (partition by generator_id, replication_rate) / 2 as rank_of_rate,
        rank() over (partition by generator_id order by trigger_score)
        + count(*) over (partition by generator_id, trigger_score) / 2 as rank_of_score
    from rates
    join scored using (keyword_set, threshold, cluster_id)
)
select
    keyword_set,
    words,
    n_in_cluster,
    trigger_score,
    replication_rate,
    n_generations,
    metric,
    corr(rank_of_score, rank_of_rate) over (partition by generator_id) as correlation,
    count(*) over (partition by generator_id) as n_clusters,
    generators.model,
    generator_id
from ranked
join generators using (generator_id)
order by generator_id, trigger_score desc, keyword_set, cluster_id;
