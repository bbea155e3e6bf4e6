-- A page of the images of $prompt by $generator, the nearest first under $metric and $reference: $limit after $offset.
-- $direction: 1 for a cosine, -1 for a distance.
with page as (
    select seed, score, matched_sample_id
    from replication_scores
    where
        generator_id = $generator
        and prompt_id = $prompt
        and metric = $metric
        and reference = $reference
    order by score * $direction desc, seed
    limit $limit offset $offset
)
select page.*, generations.image_id
from page
join generations
    on generations.generator_id = $generator
    and generations.prompt_id = $prompt
    and generations.seed = page.seed
order by page.score * $direction desc, page.seed;
