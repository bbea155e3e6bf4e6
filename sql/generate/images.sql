-- The prompts in use, each with the seeds from 0 to $n_seeds - 1 that have no image yet, in order.
-- $prompts: the parquet file of prompts. Relation generated (prompt_id, seed): those of this generator.
select prompts.prompt_id, prompts.prompt, seeds.seed
from read_parquet($prompts) as prompts
cross join range($n_seeds::bigint) as seeds(seed)
anti join generated on prompts.prompt_id = generated.prompt_id and seeds.seed = generated.seed
where prompts.status = 'ok'
order by prompts.prompt_id, seeds.seed;
