-- The words of each pair of pair_id_counts, and its counts. Table word_ids.
create or replace temp view pair_counts as
select word_ids.word, next_word_ids.word as next_word, n_captions, n_occurrences
from pair_id_counts
join word_ids using (word_id)
join word_ids as next_word_ids on next_word_ids.word_id = next_word_id;
