-- One row per generated image that is shown: of each prompt and band the $n_images that come nearest to a
-- representative of the cluster, by the metric that copies are told by.
with banded as (
    select
        scores.generator_id,
        scores.prompt_id,
        scores.seed,
        scores.metric,
        scores.score,
        if(metric = 'clip', -scores.score, scores.score) as distance,
        len(list_filter(
            replication.bands, lambda bound: if(metric = 'clip', scores.score < bound, scores.score > bound)
        )) as band
    from replication_scores as scores
    join replication using (generator_id, prompt_id, metric, reference)
    where metric in ('clip', 'l2_relative') and reference = 'representatives'
    qualify metric = max(metric) over (partition by scores.generator_id, scores.prompt_id)
        and row_number() over (
            partition by scores.generator_id, scores.prompt_id, metric, band order by distance, scores.seed
        ) <= $n_images
)
select banded.*, generations.image_id
from banded
join generations using (generator_id, prompt_id, seed)
order by generator_id, prompt_id, distance, seed;
