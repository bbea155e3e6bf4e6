-- The clustered samples at the thresholds that prompts were made at. $prompts, $cluster_members: parquet
-- files.
select threshold, sample_id, cluster_id
from read_parquet($cluster_members) as cluster_members
semi join read_parquet($prompts) as prompts using (threshold)
where cluster_members.cluster_id is not null;
