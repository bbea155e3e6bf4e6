-- One row a word of the whole corpus, with its share of the captions. $stop_words: flagged, never left
-- out. Views word_counts, caption_counts.
create or replace temp table words as
select
    word,
    word_counts.n_captions,
    n_occurrences,
    word in (select unnest($stop_words::varchar[])) as is_stop_word,
    word_counts.n_captions / caption_counts.n_captions as share_of_captions
from word_counts, caption_counts
order by n_captions desc, word;
