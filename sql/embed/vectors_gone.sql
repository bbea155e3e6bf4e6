-- The samples whose vector came from files that do not have it any more.
-- Tables vector_origins, noted_origins. Relation stored_ids (sample_id).
select sample_id
from (select sample_id from noted_origins union select sample_id from stored_ids)
anti join vector_origins using (sample_id);
