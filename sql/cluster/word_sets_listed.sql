-- The word sets of the $n_clusters largest clusters of each keyword set and threshold: of the $n_words
-- words that most captions say there (stop words aside), the sets of one to three that at least half
-- of the keyword set's samples in the cluster, and at least two, say together; at most $n_word_sets a
-- cluster. Of a split cluster only the samples of the mining half are looked at. Each set is sorted;
-- word_set numbers the rows.
create or replace temp table listed_word_sets as
with spoken as (
    select sample_id, word, count(*) as n_times
    from (select sample_id, unnest(words) as word from read_parquet($samples))
    where word not in (select unnest($stop_words::varchar[]))
    group by all
),
said as (
    select
        keyword_set,
        threshold,
        cluster_id,
        sample_id,
        word,
        n_times,
        greatest(2, ceil(n_mined / 2)) as n_needed
    from set_clusters
    join set_members using (keyword_set, threshold, cluster_id)
    join spoken using (sample_id)
    where cluster_rank <= $n_clusters and (not is_split or domain is null)
),
top_words as (
    select keyword_set, threshold, cluster_id, word
    from said
    group by keyword_set, threshold, cluster_id, word
    having count(*) >= any_value(n_needed)
    qualify
        row_number() over (
            partition by keyword_set, threshold, cluster_id
            order by count(*) desc, sum(n_times) desc, word
        ) <= $n_words
),
said_often as (
    select * from said semi join top_words using (keyword_set, threshold, cluster_id, word)
),
said_together as (
    select keyword_set, threshold, cluster_id, n_needed, [word] as words from said_often
    union all
    select keyword_set, threshold, cluster_id, a.n_needed, [a.word, b.word]
    from said_often as a
    join said_often as b using (keyword_set, threshold, cluster_id, sample_id)
    where a.word < b.word
    union all
    select keyword_set, threshold, cluster_id, a.n_needed, [a.word, b.word, c.word]
    from said_often as a
    join said_often as b using (keyword_set, threshold, cluster_id, sample_id)
    join said_often as c using (keyword_set, threshold, cluster_id, sample_id)
    where a.word < b.word and b.word < c.word
),
listed as (
    select keyword_set, threshold, cluster_id, words
    from said_together
    group by keyword_set, threshold, cluster_id, words
    having count(*) >= any_value(n_needed)
    qualify
        row_number() over (
            partition by keyword_set, threshold, cluster_id
            order by count(*) desc, len(words), words
        ) <= $n_word_sets
)
select row_number() over (order by keyword_set, threshold, cluster_id, words) - 1 as word_set, *
from listed;
