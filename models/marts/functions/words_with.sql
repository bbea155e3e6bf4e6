{{
    config(
        materialized='table_function',
        parameters=['said'],
        contract={'enforced': false},
        persist_docs={'relation': false, 'columns': false},
        post_hook='{{ comment_on_function() }}'
    )
}}

with samples as (

    select sample_id, n_rows, list_distinct(words) as words from {{ ref('samples') }}

),

words as (

    select * from {{ ref('words') }}

),

saying as (

    select n_rows, words from samples where list_has_all(words, string_split(lower(nfc_normalize(said)), ' '))

),

total as (

    select sum(n_rows) as n_captions from saying

),

together as (

    select word, sum(n_rows)::bigint as n_captions
    from (select n_rows, unnest(words) as word from saying)
    where not list_contains(string_split(lower(nfc_normalize(said)), ' '), word)
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
