-- Which words mark a cluster: $cluster is any sample_id in it (by default in the largest one),
-- $threshold its threshold (by default the middle one).
with chosen as (

    select threshold, coalesce($cluster::varchar, cluster_id) as sample_id
    from clusters
    where threshold = coalesce(
        $threshold::double,
        (select quantile_disc(threshold, 0.5) from (select distinct threshold from clusters))
    )
    order by n_samples desc, cluster_id
    limit 1

)

select
    cluster_words.keyword_set,
    cluster_words.word_rank,
    cluster_words.word,
    cluster_words.n_captions,
    cluster_words.share_in_cluster,
    cluster_words.share_in_corpus,
    cluster_words.lift
from chosen
join cluster_members using (threshold, sample_id)
join cluster_words using (threshold, cluster_id)
where cluster_words.word_rank <= 20
order by cluster_words.keyword_set, cluster_words.word_rank;
