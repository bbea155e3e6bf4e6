with clusters as (

    select * from {{ ref('stg_clusters') }}

),

cluster_members as (

    select * from {{ ref('cluster_members') }} where cluster_id is not null

),

samples as (

    select * from {{ ref('samples') }}

),

counted as (

    select
        cluster_members.threshold,
        cluster_members.cluster_id,
        count(distinct samples.caption) as n_captions_distinct,
        count(distinct samples.url) as n_urls_distinct,
        count(distinct samples.domain) as n_domains_distinct,
        min(samples.sha256) = max(samples.sha256)
        and count(samples.sha256) = count(*) as is_one_file
    from cluster_members
    inner join samples on cluster_members.sample_id = samples.sample_id
    group by cluster_members.threshold, cluster_members.cluster_id

),

final as (

    select
        clusters.*,
        coalesce(counted.n_captions_distinct, 0) as n_captions_distinct,
        coalesce(counted.n_urls_distinct, 0) as n_urls_distinct,
        coalesce(counted.n_domains_distinct, 0) as n_domains_distinct,
        -- The same file under unrelated captions on unrelated hosts is an error page's picture,
        -- not something that a caption describes.
        coalesce(
            counted.is_one_file
            and counted.n_captions_distinct >= 5
            and counted.n_domains_distinct >= 5,
            false
        ) as is_placeholder
    from clusters
    left join counted
        on clusters.threshold = counted.threshold
        and clusters.cluster_id = counted.cluster_id

)

select * from final
