-- One row a listed word set: n_samples (distinct samples of the whole corpus that say all its words)
-- and share_of_captions. One pass over the captions of `source`.
create or replace temp table corpus_word_sets as
with listed_words as (
    select distinct unnest(words) as word from listed_word_sets
),
words as (
    select
        sample_id_of(url, caption, source_id) as sample_id,
        unnest(list_distinct(words_of(decoded(caption)))) as word
    from source
),
said_words as (
    select sample_id, word, count(*) as n_captions
    from words
    semi join listed_words using (word)
    group by all
),
samples as (
    select sample_id, list(word order by word) as said, any_value(n_captions) as n_captions
    from said_words
    group by sample_id
),
patterns as (
    -- few: captions that say the same of the listed words are one row
    select said, count(*) as n_samples, sum(n_captions) as n_captions from samples group by said
),
by_word as (
    select *, unnest(said) as word from patterns
),
listed as (
    select distinct words, words[1] as word from listed_word_sets
),
total as (
    select count(caption) as n_captions from source
)
select
    words,
    sum(n_samples)::bigint as n_samples,
    sum(by_word.n_captions) / any_value(total.n_captions) as share_of_captions
from listed
join by_word using (word), total
where list_has_all(said, words)
group by words;
