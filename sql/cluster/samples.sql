-- The samples that are compared: those of the present inputs and keyword sets that have a vector,
-- by sample_id. $samples: the parquet file of samples. Relation embedded (sample_id).
select sample_id
from read_parquet($samples)
semi join embedded using (sample_id)
where status = 'ok'
order by sample_id;
