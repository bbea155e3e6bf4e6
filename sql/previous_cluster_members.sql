-- The members of the clusters of the attached build before; and a row without a sample for each of its
-- thresholds, so that one at which there was no cluster is known, too.
select threshold, sample_id, cluster_id
from previous.cluster_members
where cluster_id is not null
union all
select distinct threshold, null, null
from previous.cluster_members;
