-- One row a pair of adjacent words that at least $min_captions captions of the corpus say. View
-- pair_counts.
create or replace temp table bigrams as
select
    split_part(pair, ' ', 1) as word,
    split_part(pair, ' ', 2) as next_word,
    n_captions,
    n_occurrences
from pair_counts
where n_captions >= $min_captions
order by n_captions desc, word, next_word;
