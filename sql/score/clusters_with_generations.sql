-- The prompted clusters of which something was generated. $prompts: a parquet file. Relation generated
-- (prompt_id).
select distinct keyword_set, threshold, cluster_id
from read_parquet($prompts) as prompts
semi join generated using (prompt_id);
