-- One row a sample whose image is stored, or why there is none, from another place than that of today.
-- Tables image_origins, noted_origins. Relation stored_outcomes (sample_id, status, status_reason, sha256).
create or replace temp table samples_to_compare as
select
    origins.sample_id,
    origins.url,
    origins.source_file,
    origins.source_row,
    stored_outcomes.status,
    stored_outcomes.status_reason,
    stored_outcomes.sha256,
    origins.is_gone
from image_origins as origins
join stored_outcomes on stored_outcomes.sample_id = origins.sample_id
left join noted_origins on noted_origins.sample_id = origins.sample_id
where noted_origins.origin is distinct from origins.origin;
