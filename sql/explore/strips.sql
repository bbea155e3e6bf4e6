-- The first $n_images images of each of $clusters at $threshold, the nearest to the medoid first.
select cluster_id, sample_id
from cluster_members
where threshold = $threshold and list_contains($clusters::varchar[], cluster_id)
qualify row_number() over (
    partition by cluster_id order by cosine_to_medoid desc, sample_id
) <= $n_images
order by cluster_id, cosine_to_medoid desc, sample_id;
