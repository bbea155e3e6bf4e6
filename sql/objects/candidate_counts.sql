-- Of each keyword set and object of the vocabulary: the images whose captions do not name it, those of
-- them that show it, and the same of the background. Of nearly identical images of a set one counts.
-- $n_objects: how many there are; $n_own: the number of the first of them among those that object_names
-- numbers; $everything: keyword sets that no background is left of. Relations object_images;
-- object_names (text, object_number); hits (image_id, object_number of the vocabulary).
with names as (
    select text, object_number - $n_own as object_number
    from object_names
    where object_number >= $n_own
),
images as (
    select keyword_set, image_id, text
    from object_images
    where
        population in ('train', 'background')
        and is_first
        and not coalesce(list_contains($everything, keyword_set), false)
),
pairs as (
    select images.keyword_set, number.object_number, count(*) as n
    from images, range($n_objects) as number (object_number)
    group by all
),
named as (
    select images.keyword_set, names.object_number, count(*) as n
    from images
    join names using (text)
    group by all
),
shown as (
    select images.keyword_set, hits.object_number, count(*) as n
    from images
    join hits using (image_id)
    anti join names
        on names.text = images.text and names.object_number = hits.object_number
    group by all
),
counted as (
    select
        pairs.keyword_set,
        pairs.object_number,
        pairs.n - coalesce(named.n, 0) as n,
        coalesce(shown.n, 0) as n_with_object
    from pairs
    left join named
        on named.keyword_set is not distinct from pairs.keyword_set
        and named.object_number = pairs.object_number
    left join shown
        on shown.keyword_set is not distinct from pairs.keyword_set
        and shown.object_number = pairs.object_number
)
select
    counted.keyword_set,
    counted.object_number::integer,
    counted.n,
    counted.n_with_object,
    background.n,
    background.n_with_object
from counted
join counted as background using (object_number)
where
    counted.keyword_set is not null
    and background.keyword_set is null
    and counted.n > 0
    and background.n > 0
order by all;
