{{ config(parameters=['said']) }}

with asked as (

    -- by the word rule of sql/captions/macros.sql, as the words of samples are
    select
        list_transform(
            regexp_extract_all(
                lower(nfc_normalize({{ plain_forms("replace(said, '’', '''')") }})),
                '[\p{L}\p{M}\p{N}]+(?:[-''][\p{L}\p{M}\p{N}]+)*'
            ),
            lambda word: regexp_replace(word, '''s$', '')
        ) as asked_words

),

samples as (

    select sample_id, n_rows, list_distinct(words) as words from {{ ref('samples') }}

),

words as (

    select * from {{ ref('words') }}

),

saying as (

    select n_rows, words, asked_words
    from samples
    cross join asked
    where len(asked_words) > 0 and list_has_all(words, asked_words)

),

total as (

    select sum(n_rows) as n_captions from saying

),

together as (

    select word, sum(n_rows)::bigint as n_captions
    from (select n_rows, asked_words, unnest(words) as word from saying)
    where not list_contains(asked_words, word)
    group by word

)

select
    together.word,
    together.n_captions,
    together.n_captions / total.n_captions as share_of_captions,
    words.share_of_captions as share_in_corpus,
    together.n_captions / total.n_captions / words.share_of_captions as lift,
    words.is_stop_word
from together
cross join total
left join words on together.word = words.word
order by lift desc nulls last, together.n_captions desc, together.word
