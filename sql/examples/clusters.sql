-- The largest clusters of $keyword_set (by default of every keyword set) with a bar as long as their size and
-- the five words that come with them most often, as in the paper's Table 1, at $threshold (by default the
-- middle one).
with ranked as (

    select
        *,
        n_samples / max(n_samples) over () as relative_size
    from keyword_clusters
    where
        cluster_rank <= 7
        and keyword_set = coalesce($keyword_set::varchar, keyword_set)
        and threshold = coalesce(
            $threshold::double,
            (select quantile_disc(threshold, 0.5) from (select distinct threshold from clusters))
        )

)

select
    keyword_set,
    cluster_rank,
    n_samples,
    rtrim(bar(relative_size, 0, 1, 20)) as size,
    string_agg(word || ' ' || n_captions, ', ' order by word_rank) as words,
    round(share, 3) as share,
    cluster_id
from ranked
join cluster_words using (keyword_set, threshold, cluster_id)
where word_rank <= 5
group by all
order by keyword_set, cluster_rank;
