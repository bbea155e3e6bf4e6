-- What was noted before images were read, but for samples whose place holds something else by now: nobody
-- knows which of the two was read.
-- Tables origins_to_note, image_origins.
create or replace temp table origins_that_hold as
select noted.sample_id, noted.origin
from origins_to_note as noted
left join image_origins as today using (sample_id)
where today.origin is null or today.origin = noted.origin;
