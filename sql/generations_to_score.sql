-- One row a generator and prompt: its seeds, ascending, and the places of their images and of their
-- embeddings in the Lance tables; those of one cluster follow each other. $prompts: a parquet file.
-- Relations generated_images (image_id, generator_id, prompt_id, seed, _rowoffset), generated_vectors
-- (image_id, _rowoffset).
select
    generated_images.generator_id,
    generated_images.prompt_id,
    list(generated_images.seed order by generated_images.seed) as seeds,
    list(generated_images._rowoffset order by generated_images.seed) as image_offsets,
    list(generated_vectors._rowoffset order by generated_images.seed) as vector_offsets
from generated_images
join generated_vectors using (image_id)
join read_parquet($prompts) as prompts on generated_images.prompt_id = prompts.prompt_id
group by
    generated_images.generator_id,
    prompts.keyword_set,
    prompts.threshold,
    prompts.cluster_id,
    generated_images.prompt_id
order by
    generated_images.generator_id,
    prompts.keyword_set,
    prompts.threshold,
    prompts.cluster_id,
    generated_images.prompt_id;
