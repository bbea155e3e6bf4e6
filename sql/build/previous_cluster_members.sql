-- The members of the clusters of a build, for the next one to compare with; and a row without a sample for each of
-- its thresholds, so that one at which there was no cluster is known, too.
select threshold, sample_id, cluster_id
from cluster_members
where cluster_id is not null
union all
select distinct threshold, null, null
from cluster_members;
