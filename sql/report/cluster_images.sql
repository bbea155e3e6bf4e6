-- One row per image shown: of each cluster its medoid, then samples of the keyword set spread evenly
-- from the one most similar to the medoid to the one least similar.
with shown as (
    select cluster_rank, cluster_id, medoid_sample_id
    from keyword_clusters
    join clusters using (threshold, cluster_id)
    where
        keyword_set = $keyword_set
        and threshold = $threshold
        and keyword_clusters.n_samples >= $min_cluster_size
        and keyword_clusters.excluded_reason is null
    order by cluster_rank
    limit $n_clusters
),
members as (
    select
        shown.cluster_rank,
        members.sample_id,
        members.cosine_to_medoid,
        members.sample_id = shown.medoid_sample_id as is_medoid
    from shown
    join cluster_members as members using (cluster_id)
    left join keyword_matches as matches
        on matches.sample_id = members.sample_id and matches.keyword_set = $keyword_set
    where
        members.threshold = $threshold
        and (matches.sample_id is not null or members.sample_id = shown.medoid_sample_id)
),
placed as (
    select
        *,
        row_number() over (
            partition by cluster_rank
            order by is_medoid desc, cosine_to_medoid desc, sample_id
        ) - 1 as place,
        count(*) over (partition by cluster_rank) - 1 as last_place
    from members
),
-- The first place of each of as many equal steps as there are images.
spread as (
    select *
    from placed
    where
        last_place < $n_images
        or place = 0
        or place * ($n_images - 1) // last_place > (place - 1) * ($n_images - 1) // last_place
)
select cluster_rank, sample_id, is_medoid, cosine_to_medoid, samples.caption
from spread
join samples using (sample_id)
order by cluster_rank, place;
