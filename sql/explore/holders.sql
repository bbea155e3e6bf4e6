-- The cluster at $threshold that holds each of $samples.
select sample_id, cluster_id
from cluster_members
where threshold = $threshold and list_contains($samples::varchar[], sample_id) and cluster_id is not null;
