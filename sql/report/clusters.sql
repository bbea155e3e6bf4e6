-- One row per cluster of one keyword set, the largest first, with its most frequent words, each with
-- the number of captions that say it; shares are of the set's embedded samples. Blank images and
-- placeholders are left out.
with top_words as (
    select
        cluster_id,
        string_agg(word || ' ' || n_captions, ', ' order by word_rank) as words
    from cluster_words
    where keyword_set = $keyword_set and threshold = $threshold and word_rank <= $n_words
    group by cluster_id
)
select
    keyword_clusters.cluster_rank,
    keyword_clusters.n_samples,
    keyword_clusters.share,
    clusters.n_samples as n_samples_of_all_sets,
    clusters.n_captions_distinct,
    clusters.cosine_to_medoid_mean,
    clusters.cosine_to_medoid_min,
    top_words.words,
    samples.caption as medoid_caption,
    clusters.n_samples_largest_piece,
    keyword_clusters.cluster_id
from keyword_clusters
join clusters using (threshold, cluster_id)
left join top_words using (cluster_id)
left join samples on samples.sample_id = clusters.medoid_sample_id
where
    keyword_clusters.keyword_set = $keyword_set
    and keyword_clusters.threshold = $threshold
    and keyword_clusters.n_samples >= $min_cluster_size
    and keyword_clusters.excluded_reason is null
order by keyword_clusters.cluster_rank
limit $n_clusters;
