with keyword_clusters as (

    select * from {{ ref('keyword_clusters') }}
    where n_samples >= {{ env_var('MEMTRIGGERS_MIN_CLUSTER_SIZE', '2') }}

),

keyword_matches as (

    select * from {{ ref('keyword_matches') }}

),

cluster_members as (

    select * from {{ ref('cluster_members') }} where cluster_id is not null

),

samples as (

    select * from {{ ref('samples') }}

),

words as (

    select * from {{ ref('words') }}

),

captions as (

    select
        keyword_clusters.keyword_set,
        keyword_clusters.threshold,
        keyword_clusters.cluster_id,
        keyword_clusters.n_samples,
        samples.words
    from keyword_clusters
    inner join cluster_members
        on keyword_clusters.threshold = cluster_members.threshold
        and keyword_clusters.cluster_id = cluster_members.cluster_id
    inner join keyword_matches
        on keyword_clusters.keyword_set = keyword_matches.keyword_set
        and cluster_members.sample_id = keyword_matches.sample_id
    inner join samples on cluster_members.sample_id = samples.sample_id

),

-- One row (key: the word, value: its occurrences) per caption and distinct word.
said as (

    select
        keyword_set,
        threshold,
        cluster_id,
        n_samples,
        unnest(map_entries(list_histogram(words)), recursive := true)
    from captions

),

counted as (

    select
        keyword_set,
        threshold,
        cluster_id,
        n_samples,
        key as word,
        count(*) as n_captions,
        cast(sum(value) as bigint) as n_occurrences
    from said
    group by keyword_set, threshold, cluster_id, n_samples, key

),

compared as (

    select
        counted.*,
        coalesce(words.is_stop_word, false) as is_stop_word,
        counted.n_captions / counted.n_samples as share_in_cluster,
        words.share_of_captions as share_in_corpus
    from counted
    left join words on counted.word = words.word

),

final as (

    select
        keyword_set,
        threshold,
        cluster_id,
        word,
        n_captions,
        n_occurrences,
        is_stop_word,
        share_in_cluster,
        share_in_corpus,
        share_in_cluster / nullif(share_in_corpus, 0) as lift,
        case
            when not is_stop_word
                then row_number() over (
                    partition by keyword_set, threshold, cluster_id, is_stop_word
                    order by n_captions desc, n_occurrences desc, word
                )
        end as word_rank
    from compared

)

select * from final
