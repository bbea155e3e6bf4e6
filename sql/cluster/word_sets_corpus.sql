-- One row a listed word set and domain of the estimating half, and one for all else, whose domain is
-- null: n_samples (distinct samples of the whole corpus that say all its words) and n_captions (rows).
-- One pass over the captions of `source`.
create or replace temp table corpus_word_sets as
with listed_words as (
    select distinct unnest(words) as word from listed_word_sets
),
words as (
    select
        sample_id_of(url, caption, source_id) as sample_id,
        estimating_domain(url) as domain,
        unnest(list_distinct(words_of(decoded(caption)))) as word
    from source
),
said_words as (
    select sample_id, domain, word, count(*) as n_captions
    from words
    semi join listed_words using (word)
    group by all
),
samples as (
    select
        sample_id,
        domain,
        list(word order by word) as said,
        any_value(n_captions) as n_captions
    from said_words
    group by sample_id, domain
),
patterns as (
    -- captions of a domain that say the same of the listed words are one row
    select said, domain, count(*) as n_samples, sum(n_captions) as n_captions
    from samples
    group by said, domain
),
by_word as (
    -- few: what is said is the same on many domains
    select said, unnest(said) as word from (select distinct said from patterns)
),
listed as (
    select words, words[1] as word, row_number() over () as number
    from (select distinct words from listed_word_sets)
),
saying as (
    select number, said from listed join by_word using (word) where list_has_all(said, words)
),
counted as (
    select
        number,
        domain,
        sum(n_samples)::bigint as n_samples,
        sum(n_captions)::bigint as n_captions
    from saying
    join patterns using (said)
    group by number, domain
)
select words, domain, n_samples, n_captions from counted join listed using (number);
