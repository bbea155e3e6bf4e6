-- One row per image that is shown: of each keyword set, object and detector the $n_images training images,
-- and as many generated ones, that show the object most surely though no caption or prompt names it; with the
-- box that it is seen in (left, top, right, bottom, from 0 to 1).
with found as (
    select
        keyword_matches.keyword_set,
        detections.*
    from object_detections as detections
    join keyword_matches on keyword_matches.sample_id = detections.image_id
    where detections.population = 'train'
    union all
    select
        prompts.keyword_set,
        detections.*
    from object_detections as detections
    join generations using (image_id)
    join prompts using (prompt_id)
    where detections.population = 'generated'
)
select
    dense_rank() over (order by keyword_set, object, detector_id) as place,
    keyword_set,
    object,
    detector_id,
    population,
    image_id,
    score,
    box
from found
where shows and not is_named
qualify
    row_number() over (
        partition by keyword_set, object, detector_id, population order by score desc, image_id
    ) <= $n_images
order by place, population desc, score desc, image_id;
