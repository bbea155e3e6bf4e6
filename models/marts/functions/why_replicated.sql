{{ config(parameters=['prompt']) }}

-- Columns are written with their table: alone, `prompt` would be the parameter.
with asked as (

    select prompts.*
    from {{ ref('prompts') }} as prompts
    where prompts.prompt_id = prompt or prompts.prompt = prompt

),

replication as (

    select * from {{ ref('replication') }}

),

replication_scores as (

    select * from {{ ref('replication_scores') }}

),

replication_thresholds as (

    select * from {{ ref('replication_thresholds') }}

),

cluster_members as (

    select * from {{ ref('cluster_members') }}

),

cluster_words as (

    select * from {{ ref('cluster_words') }}

),

samples as (

    select * from {{ ref('samples') }}

),

words as (

    select list(cluster_words.word order by cluster_words.word_rank) as cluster_words
    from asked
    inner join cluster_members
        on asked.threshold = cluster_members.threshold
        and asked.cluster_id = cluster_members.sample_id
    inner join cluster_words
        on asked.keyword_set = cluster_words.keyword_set
        and asked.threshold = cluster_words.threshold
        and cluster_members.cluster_id = cluster_words.cluster_id
    where cluster_words.word_rank <= 5

),

-- The training images that its copies matched, as often as they did.
matched as (

    select
        replication_scores.generator_id,
        replication_scores.metric,
        replication_scores.reference,
        replication_scores.matched_sample_id,
        replication_scores.matched_cluster_id,
        count(*) as n_matched
    from asked
    inner join replication_scores on asked.prompt_id = replication_scores.prompt_id
    inner join replication_thresholds
        on asked.keyword_set = replication_thresholds.keyword_set
        and asked.threshold = replication_thresholds.threshold
        and asked.cluster_id = replication_thresholds.cluster_id
        and replication_scores.metric = replication_thresholds.metric
        and replication_scores.reference = replication_thresholds.reference
    where
        {{ is_copy(
            'replication_scores.score',
            'replication_thresholds.replication_threshold',
            'replication_thresholds.is_distance'
        ) }}
    group by all

)

select
    replication.generator_id,
    asked.family,
    asked.keyword_set,
    asked.cluster_id,
    words.cluster_words,
    replication.metric,
    replication.reference,
    replication.replication_threshold,
    replication.method,
    replication.n_generations,
    replication.n_replicated,
    replication.replication_rate,
    replication.ci_low,
    replication.ci_high,
    replication.background_rate,
    replication.excess_rate,
    matched.matched_sample_id,
    matched.matched_cluster_id,
    matched.n_matched,
    matched.n_matched / replication.n_replicated as share_matched,
    samples.caption,
    samples.url
from asked
inner join replication on asked.prompt_id = replication.prompt_id
cross join words
left join matched
    on replication.generator_id = matched.generator_id
    and replication.metric = matched.metric
    and replication.reference = matched.reference
left join samples on matched.matched_sample_id = samples.sample_id
order by
    replication.generator_id,
    coalesce(replication.excess_rate, replication.replication_rate) desc nulls last,
    replication.reference = 'representatives' desc,
    replication.metric,
    replication.reference,
    matched.n_matched desc,
    matched.matched_sample_id
