-- One row a word of the whole corpus, by the word rule. n_captions counts captions that say it,
-- n_occurrences how often it is said. $stop_words: flagged, never left out.
create or replace temp table words as
with captions as (
    select words_of(decoded(caption)) as words from source where caption is not null
),
per_caption as (
    -- A list of its occurrences a word and caption: its length is how often the caption says it.
    select unnest(map_entries(list_histogram(words)), recursive := true) from captions
),
total as (
    select count(*) as n_captions from captions
)
select
    key as word,
    count(*) as n_captions,
    sum(value)::bigint as n_occurrences,
    key in (select unnest($stop_words::varchar[])) as is_stop_word,
    count(*) / any_value(total.n_captions) as share_of_captions
from per_caption, total
group by key
order by n_captions desc, word;
