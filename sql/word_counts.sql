-- The words of the whole corpus, by the word rule, one row a word. n_captions counts captions that
-- say it, n_occurrences how often it is said.
create or replace temp table word_counts as
with captions as (
    select words_of(decoded(caption)) as words from source where caption is not null
),
said as (
    -- to look for a word in its short caption is several times faster than to count distinct captions
    select word, list_position(words, word) = place as is_first
    from (select words, unnest(words) as word, generate_subscripts(words, 1) as place from captions)
)
select word, count(*) filter (is_first) as n_captions, count(*) as n_occurrences
from said
group by word;
