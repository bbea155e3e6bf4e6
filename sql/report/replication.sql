-- One row per prompt and generator: how many of its images are copies of the cluster that it asks for, by the
-- nearest of at most 16 representatives, with the Wilson 95 % interval; what the prompts of other clusters
-- reach; and the images in each band. A prompt may ask for an image that is in no cluster. By the cosine of
-- CLIP, or by l2_relative where the study asks for it: who does has images of which a cosine says little.
with shown as (
    select
        prompts.*,
        keyword_clusters.cluster_rank,
        coalesce(keyword_clusters.n_samples, 1) as n_samples,
        coalesce(clusters.medoid_sample_id, prompts.cluster_id) as medoid_sample_id
    from prompts
    join cluster_members
        on prompts.cluster_id = cluster_members.sample_id
        and prompts.threshold = cluster_members.threshold
    left join keyword_clusters
        on prompts.keyword_set = keyword_clusters.keyword_set
        and prompts.threshold = keyword_clusters.threshold
        and cluster_members.cluster_id = keyword_clusters.cluster_id
    left join clusters
        on cluster_members.threshold = clusters.threshold
        and cluster_members.cluster_id = clusters.cluster_id
    where keyword_clusters.cluster_rank <= $n_clusters or cluster_members.cluster_id is null
)
select
    shown.keyword_set,
    shown.cluster_rank,
    shown.n_samples,
    shown.family,
    shown.prompt,
    replication.n_generations,
    replication.n_replicated,
    replication.replication_rate,
    replication.ci_low,
    replication.ci_high,
    replication.background_rate,
    replication.metric,
    replication.replication_threshold,
    replication.method,
    array_to_string(list_transform(bands, lambda bound: format('{:.2f}', bound)), ' · ') as bands,
    array_to_string(band_counts, ' · ') as n_by_band,
    generators.model,
    shown.medoid_sample_id,
    replication.prompt_id,
    replication.generator_id
from shown
join replication using (prompt_id)
join generators using (generator_id)
where replication.metric in ('clip', 'l2_relative') and replication.reference = 'representatives'
-- 'l2_relative', where there is one
qualify replication.metric = max(replication.metric) over (partition by generator_id, prompt_id)
order by
    max(shown.n_samples) over (partition by shown.keyword_set) desc,
    shown.keyword_set, shown.cluster_rank nulls last, shown.cluster_id, replication.generator_id,
    list_position(['keywords', 'short', 'long', 'irrelevant', 'without_name', 'caption'], shown.family), shown.prompt;
