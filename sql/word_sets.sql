-- One row a keyword set, threshold, cluster and word set. Of the n_samples of the whole corpus that say
-- all the words: how many have a vector, lie in the cluster, and lie in any cluster of the parent
-- keyword set (its own where it has no parent). lift: the share of the cluster's samples that say the
-- words, over the share of the corpus' captions that do.
with embedded as (
    select distinct sample_id from read_parquet($cluster_members)
),
by_word as (
    select sample_id, words as said, unnest(list_distinct(words)) as word
    from read_parquet($samples)
    semi join embedded using (sample_id)
),
listed as (
    select distinct words, words[1] as word from listed_word_sets
),
saying as (
    select words, sample_id
    from listed
    join by_word using (word)
    where list_has_all(said, words)
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
)
select
    keyword_set,
    threshold,
    cluster_id,
    words,
    coalesce(corpus_word_sets.n_samples, 0) as n_samples,
    n_embedded,
    n_in_cluster,
    coalesce(n_in_clusters, 0) as n_in_clusters,
    n_in_cluster / corpus_word_sets.n_samples as share_in_cluster,
    coalesce(n_in_clusters, 0) / corpus_word_sets.n_samples as concentration,
    n_in_cluster / clusters.n_samples / share_of_captions as lift
from listed_word_sets
left join corpus_word_sets using (words)
join n_embedded using (words)
join in_clusters using (words, threshold, cluster_id)
join read_parquet($clusters) as clusters using (threshold, cluster_id)
left join in_parent_clusters using (keyword_set, threshold, words)
order by keyword_set, threshold, cluster_id, n_in_cluster desc, words;
