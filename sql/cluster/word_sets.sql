-- One row a keyword set, threshold, cluster and word set. Of the n_samples of the whole corpus that say
-- all the words: how many have a vector, lie in the cluster, and lie in any cluster of the parent
-- keyword set (its own where it has no parent). lift: the share of the cluster's samples that say the
-- words, over the share of the corpus' captions that do. null_share: the share of all embedded samples
-- of the estimating half that lies in the cluster.
with corpus as (
    select
        words,
        sum(n_samples)::bigint as n_samples,
        sum(n_captions) / (select count(caption) from source) as share_of_captions
    from corpus_word_sets
    group by words
),
n_embedded as (
    select words, count(*) as n_embedded from saying group by words
),
in_clusters as (
    select words, threshold, cluster_id, count(*) as n_in_cluster
    from saying
    join read_parquet($cluster_members) as cluster_members using (sample_id)
    where cluster_id is not null
    group by all
),
in_parent_clusters as (
    select keyword_sets.keyword_set, threshold, words, sum(n_in_cluster)::bigint as n_in_clusters
    from in_clusters
    join set_clusters using (threshold, cluster_id)
    join read_parquet($keyword_sets) as keyword_sets
        on set_clusters.keyword_set
        = coalesce(keyword_sets.parent_keyword_set, keyword_sets.keyword_set)
    group by all
),
null_shares as (
    select
        threshold,
        cluster_id,
        count(*) / sum(count(*)) over (partition by threshold) as null_share
    from read_parquet($cluster_members) as cluster_members
    join read_parquet($samples) as samples using (sample_id)
    where estimating_domain(url) is not null
    group by threshold, cluster_id
)
select
    word_set,
    keyword_set,
    threshold,
    cluster_id,
    words,
    coalesce(corpus.n_samples, 0) as n_samples,
    n_embedded,
    n_in_cluster,
    coalesce(n_in_clusters, 0) as n_in_clusters,
    n_in_cluster / corpus.n_samples as share_in_cluster,
    coalesce(n_in_clusters, 0) / corpus.n_samples as concentration,
    n_in_cluster / clusters.n_samples / share_of_captions as lift,
    null_share
from listed_word_sets
left join corpus using (words)
join n_embedded using (words)
join in_clusters using (words, threshold, cluster_id)
join read_parquet($clusters) as clusters using (threshold, cluster_id)
left join in_parent_clusters using (keyword_set, threshold, words)
left join null_shares using (threshold, cluster_id)
order by keyword_set, threshold, cluster_id, n_in_cluster desc, words;
