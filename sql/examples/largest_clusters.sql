-- The largest clusters of each keyword set and the five words that come with them most often, as in
-- the paper's Table 1, at $threshold (by default the middle one).
select
    keyword_set,
    cluster_rank,
    n_samples,
    share,
    string_agg(word || ' ' || n_captions, ', ' order by word_rank) as words,
    cluster_id
from keyword_clusters
join cluster_words using (keyword_set, threshold, cluster_id)
where
    cluster_rank <= 7
    and word_rank <= 5
    and threshold = coalesce(
        $threshold::double,
        (select quantile_disc(threshold, 0.5) from (select distinct threshold from clusters))
    )
group by all
order by keyword_set, cluster_rank;
