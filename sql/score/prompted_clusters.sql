-- The clusters that prompts were made of, one row each: the sample that names it, the words of its keywords
-- prompt, the cluster that holds that sample now, and its medoid. Clusters that are none any more are left
-- out, but a sample that the user's own prompts ask for alone. $prompts, $clusters, $cluster_members: parquet files.
with named as (
    select
        keyword_set,
        threshold,
        cluster_id,
        bool_or(source = 'file') as is_of_file,
        coalesce(string_split(lower(max(prompt) filter (family = 'keywords')), ' '), []) as words
    from read_parquet($prompts)
    group by keyword_set, threshold, cluster_id
)
select
    named.keyword_set,
    named.threshold,
    named.cluster_id,
    named.words,
    coalesce(clusters.cluster_id, cluster_members.sample_id) as present_cluster_id,
    coalesce(clusters.medoid_sample_id, cluster_members.sample_id) as medoid_sample_id
from named
join read_parquet($cluster_members) as cluster_members
    on named.threshold = cluster_members.threshold and named.cluster_id = cluster_members.sample_id
left join read_parquet($clusters) as clusters
    on cluster_members.threshold = clusters.threshold
    and cluster_members.cluster_id = clusters.cluster_id
where clusters.cluster_id is not null or named.is_of_file
order by named.keyword_set, named.threshold, named.cluster_id;
