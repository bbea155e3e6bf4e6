-- One row per generated image that is shown: of each prompt and band of cosines the $n_images that come nearest
-- to a representative of the cluster.
with banded as (
    select
        scores.generator_id,
        scores.prompt_id,
        scores.seed,
        scores.score,
        len(list_filter(replication.bands, lambda bound: scores.score < bound)) as band
    from replication_scores as scores
    join replication using (generator_id, prompt_id, metric, reference)
    where metric = 'clip' and reference = 'representatives'
    qualify row_number() over (
        partition by scores.generator_id, scores.prompt_id, band order by scores.score desc, scores.seed
    ) <= $n_images
)
select banded.*, generations.image_id
from banded
join generations using (generator_id, prompt_id, seed)
order by generator_id, prompt_id, score desc, seed;
