-- The words that were counted before, in their order, with the stop words of today. View counted_words.
create or replace temp table words as
select * replace (word in (select unnest($stop_words::varchar[])) as is_stop_word)
from counted_words;
