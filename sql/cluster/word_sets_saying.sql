-- One row a listed word set's words and embedded sample that says them all; domain is null where the
-- sample is of the mining half.
create or replace temp table saying as
with embedded as (
    select distinct sample_id from read_parquet($cluster_members)
),
by_word as (
    select
        sample_id,
        estimating_domain(url) as domain,
        words as said,
        unnest(list_distinct(words)) as word
    from read_parquet($samples)
    semi join embedded using (sample_id)
),
listed as (
    select distinct words, words[1] as word from listed_word_sets
)
select words, sample_id, domain
from listed
join by_word using (word)
where list_has_all(said, words);
