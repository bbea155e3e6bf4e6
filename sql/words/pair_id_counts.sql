-- The pairs of adjacent words of the whole corpus, both in word_ids, one row a pair. n_captions counts
-- captions that say it, n_occurrences how often it is said. Numbers, not texts: with lists of texts, 32
-- million pairs ran out of 1 GB instead of spilling.
create or replace temp view pair_id_counts as
with captions as (
    select words_of(decoded(caption)) as words from source where caption is not null
),
placed as (
    select
        words,
        unnest(words[:-2]) as word,
        unnest(words[2:]) as next_word,
        generate_subscripts(words[:-2], 1) as place
    from captions
),
said as (
    select
        word,
        next_word,
        case
            when list_position(words, word) = place then true
            -- a word that comes again, which is rare
            else len(list_filter(
                words[:place - 1],
                lambda earlier, at_place: earlier = word and words[at_place + 1] = next_word
            )) = 0
        end as is_first
    from placed
)
select
    word_ids.word_id,
    next_word_ids.word_id as next_word_id,
    count(*) filter (is_first) as n_captions,
    count(*) as n_occurrences
from said
join word_ids using (word)
join word_ids as next_word_ids on next_word_ids.word = next_word
group by all;
