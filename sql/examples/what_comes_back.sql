-- What comes back: how many images of each prompt are copies, by $metric (by default l2_relative where the
-- study asks for it, else clip) against at most 16 representatives, beside what the data said: how many
-- samples of its keyword set lie in the cluster, and the largest risk of a word set of the cluster.
with rates as (

    select *
    from replication
    where
        reference = 'representatives'
        and metric = coalesce(
            $metric::varchar,
            (select max(metric) from replication where metric in ('clip', 'l2_relative'))
        )

),

risks as (

    select keyword_set, threshold, cluster_id, max(replication_risk) as replication_risk
    from word_sets
    group by all

)

select
    prompts.keyword_set,
    prompts.family,
    prompts.prompt,
    coalesce(keyword_clusters.n_samples, 1) as n_samples,
    risks.replication_risk,
    rates.n_generations,
    rates.n_replicated,
    rates.replication_rate,
    rates.ci_low,
    rates.ci_high,
    rates.background_rate
from rates
join prompts using (prompt_id)
left join cluster_members
    on prompts.threshold = cluster_members.threshold
    and prompts.cluster_id = cluster_members.sample_id
left join keyword_clusters
    on prompts.keyword_set = keyword_clusters.keyword_set
    and prompts.threshold = keyword_clusters.threshold
    and cluster_members.cluster_id = keyword_clusters.cluster_id
left join risks
    on prompts.keyword_set = risks.keyword_set
    and prompts.threshold = risks.threshold
    and cluster_members.cluster_id = risks.cluster_id
order by rates.replication_rate desc nulls last, n_samples desc, prompts.keyword_set, prompts.prompt
limit 100;
