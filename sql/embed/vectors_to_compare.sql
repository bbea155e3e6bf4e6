-- One row a stored vector that may be another one today: its sample, its place in the Lance table and
-- in the files, by which it is read; in the order of the files.
-- Tables imported_places, vector_origins, noted_origins. Relation stored (sample_id, _rowoffset).
select vector_origins.sample_id, stored._rowoffset, source_file, source_row
from vector_origins
join imported_places using (sample_id)
join stored using (sample_id)
left join noted_origins using (sample_id)
where noted_origins.origin is distinct from vector_origins.origin
order by source_file, source_row;
