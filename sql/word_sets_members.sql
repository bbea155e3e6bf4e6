-- One row a keyword set, threshold, cluster and sample of both.
create or replace temp table set_members as
select keyword_set, threshold, cluster_id, sample_id
from read_parquet($cluster_members) as cluster_members
join read_parquet($keyword_matches) as keyword_matches using (sample_id)
where cluster_id is not null;
