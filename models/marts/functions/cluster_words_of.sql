{{ config(parameters=['cluster', 'threshold']) }}

-- Columns are written with their table: alone, `threshold` would be the parameter.
with cluster_members as (

    select * from {{ ref('cluster_members') }}

),

cluster_words as (

    select * from {{ ref('cluster_words') }}

)

select
    cluster_words.keyword_set,
    cluster_words.cluster_id,
    cluster_words.word_rank,
    cluster_words.word,
    cluster_words.n_captions,
    cluster_words.n_occurrences,
    cluster_words.share_in_cluster,
    cluster_words.share_in_corpus,
    cluster_words.lift
from cluster_members
inner join cluster_words
    on cluster_members.threshold = cluster_words.threshold
    and cluster_members.cluster_id = cluster_words.cluster_id
where
    cluster_members.sample_id = cluster
    and cluster_members.threshold = cast(threshold as double)
order by
    cluster_words.keyword_set,
    cluster_words.word_rank nulls last,
    cluster_words.n_captions desc,
    cluster_words.word
