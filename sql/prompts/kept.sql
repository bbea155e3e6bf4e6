-- The prompts that earlier runs made, one row each, with the cluster that holds, at $threshold, the sample
-- by which theirs is named: status says where there is none. A prompt of the user's own may ask for a sample that
-- is in no cluster. $prompts: their parquet file. Asked of the published tables.
select
    prompts.keyword_set,
    coalesce(keyword_clusters.cluster_id, prompts.cluster_id) as cluster_id,
    coalesce(keyword_clusters.n_samples, 0) as n_samples,
    prompts.family,
    prompts.prompt,
    prompts.source,
    case
        when prompts.status = 'retired' then 'retired'
        when keyword_clusters.cluster_id is not null then null
        when prompts.source = 'file' and cluster_members.cluster_id is null
            and cluster_members.sample_id is not null then null
        else 'no_cluster'
    end as status
from read_parquet($prompts) as prompts
left join cluster_members
    on prompts.cluster_id = cluster_members.sample_id and cluster_members.threshold = $threshold
left join keyword_clusters
    on prompts.keyword_set = keyword_clusters.keyword_set
    and cluster_members.cluster_id = keyword_clusters.cluster_id
    and keyword_clusters.threshold = $threshold
order by prompts.prompt_id;
