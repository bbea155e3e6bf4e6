-- One row a word of the whole corpus, by the word rule. n_captions counts captions that say it,
-- n_occurrences how often it is said. $stop_words: flagged, never left out.
create or replace temp table words as
with captions as (
    select words_of(decoded(caption)) as words from source where caption is not null
),
said as (
    -- to look for a word in its short caption is several times faster than to count distinct captions
    select word, list_position(words, word) = place as is_first
    from (select words, unnest(words) as word, generate_subscripts(words, 1) as place from captions)
),
counted as (
    select word, count(*) filter (is_first) as n_captions, count(*) as n_occurrences
    from said
    group by word
),
total as (
    select count(caption) as n_captions from source
)
select
    word,
    counted.n_captions,
    n_occurrences,
    word in (select unnest($stop_words::varchar[])) as is_stop_word,
    counted.n_captions / total.n_captions as share_of_captions
from counted, total
order by n_captions desc, word;
