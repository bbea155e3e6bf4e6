-- One row per cluster of a keyword set, the most telling first, with its most telling word set: of
-- everything in the corpus that says the words, how much lies in the cluster. The most telling has the
-- largest trigger score; where none has one, the plain interval takes the place of the honest one.
with ranked as (
    select
        *,
        row_number() over (
            partition by keyword_set, cluster_id
            order by
                trigger_score desc nulls last,
                ci_low * log2(1 + n_in_cluster) desc,
                len(words),
                words
        ) as rank_in_cluster
    from word_sets
    semi join keyword_sets using (keyword_set, threshold)
    where n_in_cluster >= $min_cluster_size
),
placed as (
    select
        *,
        row_number() over (
            partition by keyword_set
            order by
                trigger_score desc nulls last,
                ci_low * log2(1 + n_in_cluster) desc,
                len(words),
                words,
                cluster_id
        ) as place
    from ranked
    where rank_in_cluster = 1
)
select
    placed.keyword_set,
    keyword_clusters.cluster_rank,
    array_to_string(placed.words, ' + ') as words,
    placed.n_samples,
    placed.n_in_cluster,
    placed.share_in_cluster,
    placed.ci_low,
    placed.ci_high,
    placed.ci_honest_low,
    placed.ci_honest_high,
    placed.q_value,
    placed.trigger_score,
    placed.replication_risk,
    placed.concentration,
    placed.lift
from placed
join keyword_clusters using (keyword_set, threshold, cluster_id)
join keyword_sets using (keyword_set, threshold)
where placed.place <= $n_word_sets
order by keyword_sets.n_samples desc, placed.keyword_set, placed.place;
