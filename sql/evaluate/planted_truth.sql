-- What detectors are judged by in the bundled study, one row an image of a model that was trained on the planted
-- rows as they are: the group that its prompt is about, and whether it is a copy. $results: their
-- images.parquet.
select
    generator_id,
    prompt_id,
    seed::bigint as seed,
    group_id as cluster,
    is_copy
from read_parquet($results)
where prompt_kind in ('words', 'held_out', 'own', 'unrelated')
order by generator_id, prompt_id, seed;
