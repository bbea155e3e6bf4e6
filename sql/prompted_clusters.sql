-- The clusters that prompts were made of, one row each: the sample that names it, the words of its keywords
-- prompt, the cluster that holds that sample now, and its medoid. Clusters that are none any more are left
-- out. $prompts, $clusters, $cluster_members: parquet files.
with named as (
    select
        keyword_set,
        threshold,
        cluster_id,
        coalesce(string_split(lower(max(prompt) filter (family = 'keywords')), ' '), []) as words
    from read_parquet($prompts)
    group by keyword_set, threshold, cluster_id
)
select
    named.keyword_set,
    named.threshold,
    named.cluster_id,
    named.words,
    clusters.cluster_id as present_cluster_id,
    clusters.medoid_sample_id
from named
join read_parquet($cluster_members) as cluster_members
    on named.threshold = cluster_members.threshold and named.cluster_id = cluster_members.sample_id
join read_parquet($clusters) as clusters
    on cluster_members.threshold = clusters.threshold
    and cluster_members.cluster_id = clusters.cluster_id
order by named.keyword_set, named.threshold, named.cluster_id;
