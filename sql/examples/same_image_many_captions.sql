-- Which images come with the most different captions: clusters, error pages' pictures left out, at
-- $threshold (by default the middle one).
with largest as (

    select cluster_id, n_captions_distinct, n_samples, n_domains_distinct, medoid_sample_id
    from clusters
    where
        not is_placeholder
        and threshold = coalesce(
            $threshold::double,
            (select quantile_disc(threshold, 0.5) from (select distinct threshold from clusters))
        )
    order by n_captions_distinct desc, cluster_id
    limit 20

)

select
    largest.cluster_id,
    largest.n_captions_distinct,
    largest.n_samples,
    largest.n_domains_distinct,
    samples.caption as medoid_caption,
    samples.url as medoid_url
from largest
join samples on largest.medoid_sample_id = samples.sample_id
order by largest.n_captions_distinct desc, largest.cluster_id;
