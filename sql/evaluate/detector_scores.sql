-- What our own detectors say, one row a generator, prompt and detector; none where one says nothing. Those of
-- a word set are the largest among the word sets of the cluster asked for. Asked of the published tables.
with of_clusters as (
    select
        prompts.prompt_id,
        max(word_sets.trigger_score) as trigger_score,
        max(word_sets.replication_risk) as replication_risk,
        max(word_sets.n_in_cluster)::double as n_in_cluster
    from prompts
    join cluster_members
        on prompts.cluster_id = cluster_members.sample_id
        and prompts.threshold = cluster_members.threshold
    join word_sets
        on prompts.keyword_set = word_sets.keyword_set
        and prompts.threshold = word_sets.threshold
        and cluster_members.cluster_id = word_sets.cluster_id
    group by prompts.prompt_id
)
select generator_id, prompt_id, detector, score
from prompt_scores
union all
select generators.generator_id, prompt_id, detector, score
from (unpivot of_clusters on trigger_score, replication_risk, n_in_cluster into name detector value score)
cross join generators
order by all;
