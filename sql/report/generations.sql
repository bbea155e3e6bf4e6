-- One row per generated image that is shown: of each prompt and band the $n_images that come nearest to a
-- representative of the cluster, by the metric that copies are told by, and how many lie in the band.
with shown as (
    select prompts.prompt_id
    from prompts
    join cluster_members
        on prompts.cluster_id = cluster_members.sample_id
        and prompts.threshold = cluster_members.threshold
    left join keyword_clusters
        on prompts.keyword_set = keyword_clusters.keyword_set
        and prompts.threshold = keyword_clusters.threshold
        and cluster_members.cluster_id = keyword_clusters.cluster_id
    where keyword_clusters.cluster_rank <= $n_clusters or cluster_members.cluster_id is null
),
told as (
    select *
    from replication
    semi join shown using (prompt_id)
    where metric in ('clip', 'l2_relative') and reference = 'representatives'
    -- 'l2_relative', where there is one
    qualify metric = max(metric) over (partition by generator_id, prompt_id)
),
banded as (
    select
        scores.generator_id,
        scores.prompt_id,
        scores.seed,
        scores.metric,
        scores.score,
        if(metric = 'clip', -scores.score, scores.score) as distance,
        -- A cluster of which nothing suggests a threshold has no bands.
        coalesce(len(list_filter(
            told.bands, lambda bound: if(metric = 'clip', scores.score < bound, scores.score > bound)
        )), 0) as band,
        -- A list has nothing at place 0 and past its end.
        case
            when told.bands is null then 'no threshold'
            when band = 0 and metric = 'clip' then format('at least {:.2f}', told.bands[1])
            when band = 0 then format('at most {:.2f}', told.bands[1])
            when band < len(told.bands) then format('{:.2f} to {:.2f}', told.bands[band], told.bands[band + 1])
            when metric = 'clip' then format('below {:.2f}', told.bands[-1])
            else format('above {:.2f}', told.bands[-1])
        end as band_name,
        count(*) over (partition by scores.generator_id, scores.prompt_id, band) as n_in_band
    from replication_scores as scores
    join told using (generator_id, prompt_id, metric, reference)
    qualify row_number() over (
        partition by scores.generator_id, scores.prompt_id, band order by distance, scores.seed
    ) <= $n_images
)
select banded.*, generations.image_id
from banded
join generations using (generator_id, prompt_id, seed)
order by generator_id, prompt_id, distance, seed;
