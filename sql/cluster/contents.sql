-- One row a cluster of `found_clusters`, with what its members say and show. Relations: cluster_members,
-- images (sample_id, sha256, colour_stddev). is_placeholder: one and the same file under at least 5
-- captions on at least 5 hosts is an error page's picture, not something that a caption describes.
-- is_blank: more than half of its images have a single colour, give or take $blank_stddev.
-- n_samples_largest_piece: its samples that are in one cluster, the largest, at the next threshold.
with members as (
    select threshold, sample_id, cluster_id from cluster_members where cluster_id is not null
),
contents as (
    select
        threshold,
        cluster_id,
        count(distinct caption) as n_captions_distinct,
        count(distinct address_of(url)) as n_urls_distinct,
        count(distinct domain_of(url)) as n_domains_distinct,
        count(sha256) = count(*) and count(distinct sha256) = 1 as is_one_file,
        coalesce(median(colour_stddev) < $blank_stddev, false) as is_blank
    from members
    join read_parquet($samples) as samples using (sample_id)
    left join images using (sample_id)
    group by threshold, cluster_id
),
next_thresholds as (
    select threshold, lead(threshold) over (order by threshold) as next_threshold
    from (select distinct threshold from cluster_members)
),
pieces as (
    select members.threshold, members.cluster_id, count(*) as n_samples
    from members
    join next_thresholds using (threshold)
    join cluster_members as higher
        on higher.threshold = next_threshold and higher.sample_id = members.sample_id
    group by
        members.threshold, members.cluster_id, coalesce(higher.cluster_id, higher.sample_id)
),
largest_pieces as (
    select threshold, cluster_id, max(n_samples) as n_samples_largest_piece
    from pieces
    group by threshold, cluster_id
),
described as (
    select
        *,
        is_one_file and n_captions_distinct >= 5 and n_domains_distinct >= 5 as is_placeholder
    from contents
)
select
    found_clusters.*,
    n_captions_distinct,
    n_urls_distinct,
    n_domains_distinct,
    n_samples_largest_piece,
    is_placeholder,
    is_blank,
    case when is_blank then 'blank' when is_placeholder then 'placeholder' end as excluded_reason
from found_clusters
join described using (threshold, cluster_id)
left join largest_pieces using (threshold, cluster_id)
order by threshold, cluster_id;
