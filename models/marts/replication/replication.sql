with scores as (

    select * from {{ ref('replication_scores') }}

),

prompts as (

    select * from {{ ref('prompts') }}

),

thresholds as (

    select * from {{ ref('replication_thresholds') }}

),

background as (

    select * from {{ ref('stg_background') }}

),

-- Scores and the bounds of bands as closeness: the negative of a distance, so that what is nearer has
-- more of it whatever the metric.
compared as (

    select
        scores.generator_id,
        scores.prompt_id,
        scores.metric,
        scores.reference,
        prompts.keyword_set,
        prompts.threshold,
        prompts.cluster_id,
        thresholds.replication_threshold,
        thresholds.method,
        thresholds.bands,
        if(thresholds.is_distance, -1, 1) as direction,
        scores.score * direction as closeness,
        {{ is_copy(
            'scores.score', 'thresholds.replication_threshold', 'thresholds.is_distance'
        ) }} as is_copy,
        len(list_filter(
            thresholds.bands, lambda band: closeness < band * direction
        )) as band
    from scores
    inner join prompts on scores.prompt_id = prompts.prompt_id
    left join thresholds
        on prompts.keyword_set = thresholds.keyword_set
        and prompts.threshold = thresholds.threshold
        and prompts.cluster_id = thresholds.cluster_id
        and scores.metric = thresholds.metric
        and scores.reference = thresholds.reference

),

counted as (

    select
        generator_id,
        prompt_id,
        metric,
        reference,
        keyword_set,
        threshold,
        cluster_id,
        any_value(replication_threshold) as replication_threshold,
        any_value(method) as method,
        any_value(bands) as bands,
        count(*) as n_generations,
        count_if(is_copy) as n_copies,
        list(band) as band_of_each
    from compared
    group by all

)

select
    counted.generator_id,
    counted.prompt_id,
    counted.metric,
    counted.reference,
    counted.replication_threshold,
    counted.method,
    counted.n_generations,
    if(counted.replication_threshold is null, null, counted.n_copies)::bigint as n_replicated,
    n_replicated / counted.n_generations as replication_rate,
    {{ wilson('n_replicated', 'counted.n_generations', '-') }} as ci_low,
    {{ wilson('n_replicated', 'counted.n_generations', '+') }} as ci_high,
    background.n_background,
    background.background_rate,
    replication_rate - background.background_rate as excess_rate,
    counted.bands,
    list_transform(
        range(len(counted.bands) + 1),
        lambda place: len(list_filter(counted.band_of_each, lambda band: band = place))
    ) as band_counts
from counted
left join background
    on counted.generator_id = background.generator_id
    and counted.keyword_set = background.keyword_set
    and counted.threshold = background.threshold
    and counted.cluster_id = background.cluster_id
    and counted.metric = background.metric
    and counted.reference = background.reference
