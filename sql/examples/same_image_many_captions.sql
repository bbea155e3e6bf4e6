-- Which images come with the most different captions: clusters, error pages' pictures left out, at
-- $threshold (by default the middle one).
select
    cluster_id,
    n_captions_distinct,
    n_samples,
    n_domains_distinct,
    samples.caption as medoid_caption,
    samples.url as medoid_url
from clusters
join samples on medoid_sample_id = sample_id
where
    not is_placeholder
    and threshold = coalesce(
        $threshold::double,
        (select quantile_disc(threshold, 0.5) from (select distinct threshold from clusters))
    )
order by n_captions_distinct desc, cluster_id
limit 20;
