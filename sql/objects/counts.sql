-- Of each keyword set and object, and of each prompt of each generator: how many images have a text that
-- does not name the object, and how many of them show it. $detector_id. Relations object_images,
-- object_detections.
select
    images.keyword_set,
    detections.object,
    images.generator_id,
    images.family,
    images.prompt_id,
    count(*) as n,
    count(*) filter (detections.shows) as n_with_object
from object_images as images
join object_detections as detections using (population, image_id)
where
    detections.detector_id = $detector_id
    and not detections.is_named
    and images.population in ('train', 'generated')
group by all
order by all;
