-- How many of the relation named (sample_id) are no sample at all, and the first of them.
-- $samples: the parquet file of samples.
select count(*) as n_unknown, min(named.sample_id) as first_unknown
from named
anti join read_parquet($samples) as samples on samples.sample_id = named.sample_id;
