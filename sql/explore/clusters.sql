-- A page of the clusters of $keyword_set (null: of all samples) at $threshold, the largest first: $limit of them after
-- $offset, with their most frequent words and how many there are in all. Blank images and placeholders are among them.
with chosen as (
    select cluster_id, n_samples, cluster_rank
    from keyword_clusters
    where keyword_set = $keyword_set and threshold = $threshold
    union all by name
    select cluster_id, n_samples
    from clusters
    where $keyword_set::varchar is null and threshold = $threshold
),
page as (
    select *, count(*) over () as n_clusters
    from chosen
    order by n_samples desc, cluster_id
    limit $limit offset $offset
),
said as (
    select cluster_id, word, max(n_captions) as n_captions
    from cluster_words
    semi join page using (cluster_id)
    where threshold = $threshold
        and keyword_set = coalesce($keyword_set::varchar, keyword_set)
        and word_rank <= 5
    group by cluster_id, word
),
words as (
    select cluster_id, list(word order by n_captions desc, word)[:5] as words
    from said
    group by cluster_id
)
select
    page.*,
    clusters.medoid_sample_id,
    clusters.n_captions_distinct,
    clusters.excluded_reason,
    samples.caption as medoid_caption,
    coalesce(words.words, []) as words
from page
join clusters on clusters.threshold = $threshold and clusters.cluster_id = page.cluster_id
left join words on words.cluster_id = page.cluster_id
left join samples on samples.sample_id = clusters.medoid_sample_id
order by page.n_samples desc, page.cluster_id;
