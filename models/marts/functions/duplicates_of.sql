{{ config(parameters=['keyword', 'threshold']) }}

-- Columns are written with their table: alone, `threshold` would be the parameter.
with keyword_clusters as (

    select * from {{ ref('keyword_clusters') }}

),

cluster_members as (

    select * from {{ ref('cluster_members') }}

),

keyword_matches as (

    select * from {{ ref('keyword_matches') }}

),

samples as (

    select * from {{ ref('samples') }}

)

select
    keyword_clusters.cluster_rank,
    keyword_clusters.cluster_id,
    samples.sample_id,
    samples.caption,
    samples.url,
    cluster_members.representative_sample_id,
    cluster_members.cosine_to_medoid
from keyword_clusters
inner join cluster_members
    on keyword_clusters.threshold = cluster_members.threshold
    and keyword_clusters.cluster_id = cluster_members.cluster_id
inner join keyword_matches
    on keyword_clusters.keyword_set = keyword_matches.keyword_set
    and cluster_members.sample_id = keyword_matches.sample_id
inner join samples on cluster_members.sample_id = samples.sample_id
where
    keyword_clusters.keyword_set = keyword
    and keyword_clusters.threshold = cast(threshold as double)
order by keyword_clusters.cluster_rank, cluster_members.cosine_to_medoid desc, samples.sample_id
