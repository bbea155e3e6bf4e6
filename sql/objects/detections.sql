-- One row a detector, object and image: what is seen, and whether the text of the image names the object.
-- Relations detections (as `examine` makes them); sought (object_number, object); object_images;
-- object_names (text, object_number).
with texts as (
    select distinct population, image_id, text from object_images
)
select
    detections.detector_id,
    detections.object,
    detections.population,
    detections.image_id,
    names.text is not null as is_named,
    detections.score,
    detections.shows,
    detections.box
from detections
join sought using (object)
join texts using (population, image_id)
left join object_names as names
    on names.text = texts.text and names.object_number = sought.object_number
order by all;
