-- One row a follow-up set: a word set without a word of the keyword set that it was found in, which at
-- most $max_samples samples of the corpus say. Of each of $keyword_sets (the words and phrases that it
-- has said, and the threshold to look at) the $top word sets of the largest trigger_score, at most one a
-- cluster, each once; where none has a score, the plain interval takes the place of the honest one.
-- None is called like one of $taken.
create or replace temp table follow_up_sets as
with parents as (
    select
        keyword_set as parent,
        threshold,
        flatten(list_transform(said, lambda phrase: words_of(phrase))) as said
    from (
        select unnest(
            $keyword_sets::struct(keyword_set varchar, threshold double, said varchar[])[],
            recursive := true
        )
    )
),
candidates as (
    select
        parent,
        cluster_id,
        words,
        coalesce(trigger_score, -1) as score,  -- others come after those that have one
        ci_low * log2(1 + n_in_cluster) as plain_score
    from read_parquet($word_sets) as word_sets
    join parents on word_sets.keyword_set = parent and word_sets.threshold = parents.threshold
    where not list_has_any(words, said) and word_sets.n_samples <= $max_samples
),
of_clusters as (
    from candidates
    qualify
        row_number() over (
            partition by parent, cluster_id
            order by score desc, plain_score desc, len(words), words
        ) = 1
),
distinct_sets as (
    from of_clusters
    qualify
        row_number() over (
            partition by parent, words order by score desc, plain_score desc, cluster_id
        ) = 1
)
select
    parent || ': ' || array_to_string(words, ' + ') as keyword_set,
    words as include,
    parent
from distinct_sets
where not list_contains($taken::varchar[], parent || ': ' || array_to_string(words, ' + '))
qualify
    row_number() over (
        partition by parent order by score desc, plain_score desc, len(words), words
    ) <= $top
order by parent, keyword_set;
