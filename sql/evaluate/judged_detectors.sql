-- Every score of a detector beside what is true: of a prompt, whether at least the share $replicates of its
-- images are copies; of an image, where the score has a seed, whether it is one. Prompts without a score, and
-- scores that are no number, suspect nothing. Tables truth and given.
with detectors as (
    select distinct truth.generator_id, given.detector, given.seed is not null as is_of_image
    from given
    join truth
        on given.prompt_id = truth.prompt_id
        and coalesce(given.generator_id, truth.generator_id) = truth.generator_id
),
prompts as (
    select generator_id, prompt_id, any_value(cluster) as cluster, avg(is_copy::int) as rate
    from truth
    group by generator_id, prompt_id
),
things as (
    select generator_id, prompt_id, null::bigint as seed, cluster, rate >= $replicates as is_positive
    from prompts
    union all
    select generator_id, prompt_id, seed, cluster, is_copy
    from truth
)
select
    detectors.generator_id,
    detectors.detector,
    if(is_of_image, 'images', 'prompts') as what,
    things.cluster,
    things.is_positive,
    coalesce(isfinite(given.score), false) as is_scored,
    coalesce(if(isfinite(given.score), given.score, null), '-infinity'::double) as score
from detectors
join things
    on detectors.generator_id = things.generator_id
    and detectors.is_of_image = (things.seed is not null)
left join given
    on detectors.detector = given.detector
    and things.prompt_id = given.prompt_id
    and things.seed is not distinct from given.seed
    and coalesce(given.generator_id, things.generator_id) = things.generator_id
order by all;
