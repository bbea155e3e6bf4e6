-- One row a pair of adjacent words that at least $min_captions captions of the corpus say: n_captions
-- counts captions, n_occurrences how often the pair is said. Words are those of words.sql.
create or replace temp table bigrams as
with captions as (
    select words_of(decoded(caption)) as words from source where caption is not null
),
paired as (
    -- no word holds a blank
    select list_transform(words[:-2], lambda word, place: word || ' ' || words[place + 1]) as pairs
    from captions
),
said as (
    select pair, list_position(pairs, pair) = place as is_first
    from (select pairs, unnest(pairs) as pair, generate_subscripts(pairs, 1) as place from paired)
),
counted as (
    select pair, count(*) filter (is_first) as n_captions, count(*) as n_occurrences
    from said
    group by pair
    having count(*) filter (is_first) >= $min_captions
)
select
    split_part(pair, ' ', 1) as word,
    split_part(pair, ' ', 2) as next_word,
    n_captions,
    n_occurrences
from counted
order by n_captions desc, word, next_word;
