-- One row a listed word set: n_samples (distinct samples of the whole corpus that say all its words)
-- and share_of_captions. One pass over `source`. $words: every word of a listed set.
create or replace temp table corpus_word_sets as
with hits as (
    select url, caption, source_id, list_intersect(words_of(decoded(caption)), $words) as said
    from source
    where len($words) > 0 and caption is not null  -- nothing is read when nothing is listed
),
samples as (
    select sample_id_of(url, caption, source_id) as sample_id, list_sort(said) as said, count(*) as n
    from hits
    where len(said) > 0
    group by all
),
patterns as (
    -- few: captions that say the same of the listed words are one row
    select said, count(*) as n_samples, sum(n) as n_captions from samples group by said
),
by_word as (
    select *, unnest(said) as word from patterns
),
listed as (
    select distinct words, words[1] as word from listed_word_sets
),
total as (
    select count(*) as n_captions from source where caption is not null
)
select
    words,
    sum(n_samples)::bigint as n_samples,
    sum(by_word.n_captions) / any_value(total.n_captions) as share_of_captions
from listed
join by_word using (word), total
where list_has_all(said, words)
group by words;
