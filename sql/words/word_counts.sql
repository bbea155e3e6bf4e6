-- The words of the whole corpus, by the word rule, one row a word. n_captions counts captions that
-- say it, n_occurrences how often it is said.
create or replace temp table word_counts as
with folded_captions as (
    select folded(decoded(caption)) as caption from source where caption is not null
),
-- words_of() step by step: the lists of one text in it would cost a tenth more
separated_captions as (
    select separated(caption) as caption from folded_captions
),
captions as (
    select string_split(spaced_words(caption), ' ') as words from separated_captions
),
placed as (
    select words, unnest(words) as word, generate_subscripts(words, 1) as place
    from (select case when is_long(words) then list_sort(words) else words end as words from captions)
),
said as (
    -- to look for a word in its short caption is several times faster than to count distinct captions
    select
        word,
        case
            when is_long(words) then place = 1 or word != words[place - 1]
            else list_position(words, word) = place
        end as is_first
    from placed
)
select word, count(*) filter (is_first) as n_captions, count(*) as n_occurrences
from said
where word != ''  -- what is between two spaces
group by word;
