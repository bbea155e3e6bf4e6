-- One row a keyword set, threshold, cluster and sample of all; domain is null where the sample is of
-- the mining half.
create or replace temp table set_members as
select keyword_set, threshold, cluster_id, sample_id, estimating_domain(url) as domain
from read_parquet($cluster_members) as cluster_members
join read_parquet($keyword_matches) as keyword_matches using (sample_id)
join read_parquet($samples) as samples using (sample_id)
where cluster_id is not null;
