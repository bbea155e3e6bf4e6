-- The scores of $prompts under $metric and $reference, by $generator: one list a prompt.
select prompt_id, list(score order by score) as scores
from replication_scores
where
    generator_id = $generator
    and metric = $metric
    and reference = $reference
    and list_contains($prompts::varchar[], prompt_id)
group by prompt_id;
