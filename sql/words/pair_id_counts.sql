-- The pairs of adjacent words of the whole corpus, both in word_ids, one row a pair. n_captions counts
-- captions that say it, n_occurrences how often it is said. Numbers, not texts: with lists of texts, 32
-- million pairs ran out of 1 GB instead of spilling.
create or replace temp view pair_id_counts as
with captions as (
    select words_of(decoded(caption)) as words from source where caption is not null
),
zipped as (
    select
        words,
        case when is_long(words) then list_sort(list_zip(words[:-2], words[2:])) end as sorted_pairs
    from captions
),
paired as (
    select
        sorted_pairs is not null as is_sorted,
        case when is_sorted then list_transform(sorted_pairs, lambda pair: pair[1]) else words[:-2] end
            as words,
        case when is_sorted then list_transform(sorted_pairs, lambda pair: pair[2]) else words[2:] end
            as next_words
    from zipped
),
placed as (
    select
        *,
        unnest(words) as word,
        unnest(next_words) as next_word,
        generate_subscripts(words, 1) as place
    from paired
),
said as (
    select
        word,
        next_word,
        case
            when is_sorted
                then place = 1
                or word != words[place - 1]
                or next_word != next_words[place - 1]
            when list_position(words, word) = place then true
            -- a word that comes again, which is rare
            else len(list_filter(
                words[:place - 1],
                lambda earlier, at_place: earlier = word and next_words[at_place] = next_word
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
