-- One row a pair of adjacent words that at least $min_captions captions of the corpus say. View
-- pair_counts.
create or replace temp table bigrams as
select *
from pair_counts
where n_captions >= $min_captions
order by n_captions desc, word, next_word;
