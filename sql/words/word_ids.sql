-- One row a word that at least $min_captions captions of the corpus say, numbered. No other word is in
-- a pair that as many say. Table word_counts.
create or replace temp table word_ids as
select (row_number() over ())::integer as word_id, word
from word_counts
where n_captions >= $min_captions;
