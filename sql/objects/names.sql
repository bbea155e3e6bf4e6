-- Which text names which object: one row a text and object, where some consecutive tokens of the text are
-- a phrase of the object. `flagship` is one token, and names no flag. $spellings: rows (object_number,
-- spelling). Relation object_images.
create or replace temp table object_names as
with spellings as (
    select distinct given.object_number, trim(token_text(given.spelling)) as phrase
    from (select unnest($spellings::struct(object_number integer, spelling varchar)[]) as given)
),
lengths as (
    select distinct len(string_split(phrase, ' ')) as n from spellings
),
texts as (
    select distinct text, string_split(trim(token_text(decoded(text))), ' ') as tokens
    from object_images
),
runs as (
    select distinct
        texts.text,
        array_to_string(texts.tokens[place.first : place.first + lengths.n - 1], ' ') as phrase
    from texts, lengths, range(1, len(texts.tokens) - lengths.n + 2) as place (first)
)
select distinct runs.text, spellings.object_number
from runs
join spellings using (phrase);
