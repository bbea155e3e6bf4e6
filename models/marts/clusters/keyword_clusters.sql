with keyword_sets as (

    select * from {{ ref('keyword_sets') }}

),

keyword_matches as (

    select * from {{ ref('keyword_matches') }}

),

cluster_members as (

    select * from {{ ref('cluster_members') }}

),

clusters as (

    select * from {{ ref('clusters') }}

),

-- The unclustered samples of a set are one group, with a null cluster_id.
counted as (

    select
        keyword_matches.keyword_set,
        cluster_members.threshold,
        cluster_members.cluster_id,
        count(*) as n_samples
    from keyword_matches
    inner join cluster_members on keyword_matches.sample_id = cluster_members.sample_id
    group by keyword_matches.keyword_set, cluster_members.threshold, cluster_members.cluster_id

),

totalled as (

    select
        *,
        sum(n_samples) over (partition by keyword_set, threshold) as n_embedded
    from counted

),

with_reason as (

    select totalled.*, clusters.excluded_reason
    from totalled
    inner join clusters
        on totalled.threshold = clusters.threshold
        and totalled.cluster_id = clusters.cluster_id

),

-- What is excluded has no place among the others.
ranked as (

    select
        *,
        if(excluded_reason is null, row_number() over by_size, null) as cluster_rank,
        if(excluded_reason is null, sum(n_samples) over by_size, null) as n_samples_so_far
    from with_reason
    window by_size as (
        partition by keyword_set, threshold, excluded_reason is null
        order by n_samples desc, cluster_id
        rows between unbounded preceding and current row
    )

),

with_parent as (

    select
        ranked.*,
        ranked.excluded_reason is null
        and coalesce(parents.n_samples >= {{ env_var('MEMTRIGGERS_MIN_CLUSTER_SIZE', '2') }}, false)
            as is_parent_cluster
    from ranked
    inner join keyword_sets on ranked.keyword_set = keyword_sets.keyword_set
    left join counted as parents
        on keyword_sets.parent_keyword_set = parents.keyword_set
        and ranked.threshold = parents.threshold
        and ranked.cluster_id = parents.cluster_id

),

final as (

    select
        keyword_set,
        threshold,
        cluster_id,
        cluster_rank,
        n_samples,
        n_samples / n_embedded as share,
        n_samples_so_far / n_embedded as cumulative_share,
        is_parent_cluster,
        excluded_reason
    from with_parent

)

select * from final
