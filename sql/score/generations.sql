-- One row a generator and prompt: its seeds, ascending, and the places of what is compared in the Lance
-- tables: of their images, and by metric of their vectors, -1 where no such metric is asked for. Those of
-- one cluster follow each other; a generation that lacks a vector is left out. $prompts: a parquet file;
-- $metrics: those of vectors. Relations generated_images (image_id, generator_id, prompt_id, seed,
-- _rowoffset); clip, sscd, clip_tiles, sscd_tiles (image_id, _rowoffset).
with generations as (

    select
        generated_images.generator_id,
        generated_images.prompt_id,
        generated_images.seed,
        generated_images._rowoffset::bigint as image,
        coalesce(clip._rowoffset::bigint, -1) as clip,
        coalesce(sscd._rowoffset::bigint, -1) as sscd,
        coalesce(clip_tiles._rowoffset::bigint, -1) as clip_tiles,
        coalesce(sscd_tiles._rowoffset::bigint, -1) as sscd_tiles
    from generated_images
    join clip using (image_id)
    left join sscd using (image_id)
    left join clip_tiles using (image_id)
    left join sscd_tiles using (image_id)

)

select
    generations.generator_id,
    generations.prompt_id,
    list(generations.seed order by generations.seed) as seeds,
    list(generations.image order by generations.seed) as image,
    list(generations.clip order by generations.seed) as clip,
    list(generations.sscd order by generations.seed) as sscd,
    list(generations.clip_tiles order by generations.seed) as clip_tiles,
    list(generations.sscd_tiles order by generations.seed) as sscd_tiles
from generations
join read_parquet($prompts) as prompts on generations.prompt_id = prompts.prompt_id
where
    (generations.sscd >= 0 or not list_contains($metrics, 'sscd'))
    and (generations.clip_tiles >= 0 or not list_contains($metrics, 'clip_tiles'))
    and (generations.sscd_tiles >= 0 or not list_contains($metrics, 'sscd_tiles'))
group by
    generations.generator_id,
    prompts.keyword_set,
    prompts.threshold,
    prompts.cluster_id,
    generations.prompt_id
order by
    generations.generator_id,
    prompts.keyword_set,
    prompts.threshold,
    prompts.cluster_id,
    generations.prompt_id;
