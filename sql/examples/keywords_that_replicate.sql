-- Which keywords predict replication: the word sets of the clusters that prompts ask for, beside the
-- mean replication rate of those prompts by $metric (by default clip), and Spearman's correlation of
-- each number with that rate over all of them, null where one does not vary. Where no interval is
-- honest, the plain one makes the trigger score.
with rates as (

    select
        replication.generator_id,
        prompts.keyword_set,
        prompts.threshold,
        cluster_members.cluster_id,
        avg(replication.replication_rate) as replication_rate,
        sum(replication.n_generations)::bigint as n_generations
    from replication
    join prompts using (prompt_id)
    join cluster_members
        on prompts.threshold = cluster_members.threshold
        and prompts.cluster_id = cluster_members.sample_id
    where
        replication.metric = coalesce($metric::varchar, 'clip')
        and replication.reference = 'representatives'
        and prompts.family <> 'without_name'
        and replication.replication_rate is not null
    group by all

),

listed as (

    select
        rates.*,
        array_to_string(word_sets.words, ' ') as words,
        coalesce(
            word_sets.trigger_score, word_sets.ci_low * log2(1 + word_sets.n_in_cluster)
        ) as trigger_score,
        word_sets.share_in_cluster,
        word_sets.n_in_cluster
    from rates
    join word_sets using (keyword_set, threshold, cluster_id)

),

-- Of equal values each has the mean of their ranks.
ranked as (

    select
        *,
        rank() over (partition by generator_id order by replication_rate)
        + count(*) over (partition by generator_id, replication_rate) / 2 as rank_of_rate,
        rank() over (partition by generator_id order by trigger_score)
        + count(*) over (partition by generator_id, trigger_score) / 2 as rank_of_score,
        rank() over (partition by generator_id order by share_in_cluster)
        + count(*) over (partition by generator_id, share_in_cluster) / 2 as rank_of_share,
        rank() over (partition by generator_id order by n_in_cluster)
        + count(*) over (partition by generator_id, n_in_cluster) / 2 as rank_of_number
    from listed

)

select
    generator_id,
    keyword_set,
    words,
    replication_rate,
    n_generations,
    trigger_score,
    share_in_cluster,
    n_in_cluster,
    corr(rank_of_score, rank_of_rate) over generators as correlation_of_trigger_score,
    corr(rank_of_share, rank_of_rate) over generators as correlation_of_share_in_cluster,
    corr(rank_of_number, rank_of_rate) over generators as correlation_of_n_in_cluster
from ranked
window generators as (partition by generator_id)
order by generator_id, replication_rate desc, trigger_score desc nulls last, keyword_set, words
limit 50;
