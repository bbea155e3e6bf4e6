-- The $n_clusters largest clusters of each keyword set at $threshold, the largest first, and what their
-- prompts say. words: at most $n_words of the ranked words, those that at least a third as many captions
-- say as the first, in the order in which captions say them; other_words: those of them that are not the
-- name that a prompt may leave out: words of the parent keyword set, or of the set itself where it has
-- none. Asked of the published tables.
with top_clusters as (
    select keyword_set, threshold, cluster_id, n_samples
    from keyword_clusters
    where threshold = $threshold and cluster_rank <= $n_clusters
),
top_words as (
    select keyword_set, threshold, cluster_id, word
    from cluster_words
    semi join top_clusters using (keyword_set, threshold, cluster_id)
    where word_rank <= $n_words
    qualify 3 * n_captions >= max(n_captions) over (partition by keyword_set, cluster_id)
),
names as (
    select
        keyword_sets.keyword_set,
        flatten(
            list_transform(
                if(
                    parents.keyword_set is null,
                    keyword_sets.include || coalesce(keyword_sets.any_of, []),
                    parents.include || coalesce(parents.any_of, [])
                ),
                lambda phrase: regexp_extract_all(
                    lower(nfc_normalize(phrase)), '[\p{L}\p{M}\p{N}]+'
                )
            )
        ) as tokens
    from keyword_sets
    left join keyword_sets as parents on keyword_sets.parent_keyword_set = parents.keyword_set
),
placed as (
    select keyword_set, cluster_id, word, avg(list_position(samples.words, word)) as place
    from top_words
    join cluster_members using (threshold, cluster_id)
    join keyword_matches using (keyword_set, sample_id)
    join samples using (sample_id)
    where list_contains(samples.words, word)
    group by keyword_set, cluster_id, word
),
marked as (
    select
        placed.*,
        list_has_all(names.tokens, regexp_extract_all(word, '[\p{L}\p{M}\p{N}]+')) as is_name
    from placed
    join names using (keyword_set)
)
select
    keyword_set,
    cluster_id,
    n_samples,
    list(word order by place, word) as words,
    coalesce(list(word order by place, word) filter (not is_name), []) as other_words
from top_clusters
join marked using (keyword_set, cluster_id)
group by keyword_set, cluster_id, n_samples
order by n_samples desc, keyword_set, cluster_id;
