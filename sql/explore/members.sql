-- A page of the samples of cluster $cluster at $threshold, the nearest to the medoid first: $limit after $offset.
with page as (
    select sample_id, cosine_to_medoid
    from cluster_members
    where threshold = $threshold and cluster_id = $cluster
    order by cosine_to_medoid desc, sample_id
    limit $limit offset $offset
)
select page.*, samples.caption, samples.url, samples.n_rows
from page
join samples using (sample_id)
order by page.cosine_to_medoid desc, page.sample_id;
