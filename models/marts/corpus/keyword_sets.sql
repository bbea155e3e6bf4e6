with keyword_sets as (

    select * from {{ ref('stg_keyword_sets') }}

),

named as (

    select * from {{ ref('stg_keyword_set_thresholds') }}

),

follow_up_sets as (

    select * from {{ ref('stg_follow_up_sets') }}

),

final as (

    select
        keyword_sets.keyword_set,
        keyword_sets.include,
        keyword_sets.any_of,
        keyword_sets.exclude,
        keyword_sets.parent_keyword_set,
        coalesce(own.threshold, of_parent.threshold, {{ env_var('MEMTRIGGERS_REPORT_THRESHOLD', '0.9') }})::double
            as threshold,
        follow_up_sets.keyword_set is not null as is_follow_up,
        keyword_sets.n_samples
    from keyword_sets
    left join named as own on keyword_sets.keyword_set = own.keyword_set
    left join follow_up_sets on keyword_sets.keyword_set = follow_up_sets.keyword_set
    left join named as of_parent on keyword_sets.parent_keyword_set = of_parent.keyword_set

)

select * from final
