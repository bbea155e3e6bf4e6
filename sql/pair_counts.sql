-- The pairs of adjacent words of the whole corpus, one row a pair: two words with a blank between, as
-- no word holds one. n_captions counts captions that say it, n_occurrences how often it is said.
create or replace temp view pair_counts as
with captions as (
    select words_of(decoded(caption)) as words from source where caption is not null
),
paired as (
    select list_transform(words[:-2], lambda word, place: word || ' ' || words[place + 1]) as pairs
    from captions
),
said as (
    select pair, list_position(pairs, pair) = place as is_first
    from (select pairs, unnest(pairs) as pair, generate_subscripts(pairs, 1) as place from paired)
)
select pair, count(*) filter (is_first) as n_captions, count(*) as n_occurrences
from said
group by pair;
