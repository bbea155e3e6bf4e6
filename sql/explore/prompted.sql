-- Which of $clusters at $threshold have generations: how many prompts, and the largest replication rate, by
-- l2_relative where the study asks for it and else by CLIP.
select
    cluster_members.cluster_id,
    count(distinct replication.prompt_id) as n_prompts,
    arg_max(replication.replication_rate, (replication.metric, replication.replication_rate)) as replication_rate
from prompts
join cluster_members
    on cluster_members.threshold = prompts.threshold and cluster_members.sample_id = prompts.cluster_id
join replication using (prompt_id)
where
    prompts.threshold = $threshold
    and list_contains($clusters::varchar[], cluster_members.cluster_id)
    and replication.metric in ('clip', 'l2_relative')
    and replication.reference = 'representatives'
group by cluster_members.cluster_id;
