-- pair_id_counts of all groups of files.
create or replace temp view pair_id_counts as
select
    word_ids.word_id,
    next_word_ids.word_id as next_word_id,
    sum(n_captions)::bigint as n_captions,
    sum(n_occurrences)::bigint as n_occurrences
from shard_pair_counts
join word_ids using (word)
join word_ids as next_word_ids on next_word_ids.word = next_word
group by all;
