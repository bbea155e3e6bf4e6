with keyword_sets as (

    select * from {{ ref('keyword_sets') }}

),

keyword_matches as (

    select * from {{ ref('keyword_matches') }}

),

samples as (

    select * from {{ ref('samples') }}

),

steps as (

    select *
    from (
        values
        ('matched', 1), ('clean', 2), ('within_token_limit', 3), ('fetched', 4), ('embedded', 5)
    ) as steps (step, step_order)

),

-- Where each sample left the flow: null for one that is embedded.
placed as (

    select
        sample_id,
        case
            when status = 'rejected' and status_reason = 'over_77_clip_tokens'
                then 'within_token_limit'
            when status = 'rejected' then 'clean'
            when status in ('pending', 'fetch_failed') then 'fetched'
            when status in ('fetched', 'embed_failed') then 'embedded'
        end as lost_at,
        case
            when status = 'rejected' then replace(status_reason, ', ', ' + ')
            when status = 'pending' then 'not fetched yet'
            when status = 'fetch_failed' then image_status
            when status = 'fetched' then 'not embedded yet'
            when status = 'embed_failed' then vector_status
        end as cause
    from samples

),

counted as (

    select
        keyword_matches.keyword_set,
        placed.lost_at,
        placed.cause,
        count(*) as n_samples
    from keyword_matches
    inner join placed on keyword_matches.sample_id = placed.sample_id
    group by keyword_matches.keyword_set, placed.lost_at, placed.cause

),

matched as (

    select
        keyword_set,
        sum(n_samples) as n_samples
    from counted
    group by keyword_set

),

lost as (

    select
        keyword_set,
        lost_at,
        sum(n_samples) as n_lost,
        string_agg(cause || ' ' || n_samples, ', ' order by n_samples desc, cause) as reason
    from counted
    where lost_at is not null
    group by keyword_set, lost_at

),

every_step as (

    select
        keyword_sets.keyword_set,
        steps.step,
        steps.step_order,
        coalesce(matched.n_samples, 0) as n_matched,
        coalesce(lost.n_lost, 0) as n_lost,
        lost.reason
    from keyword_sets
    cross join steps
    left join matched on keyword_sets.keyword_set = matched.keyword_set
    left join lost
        on keyword_sets.keyword_set = lost.keyword_set
        and steps.step = lost.lost_at

),

final as (

    select
        keyword_set,
        step,
        step_order,
        cast(
            n_matched - sum(n_lost) over (partition by keyword_set order by step_order) as bigint
        ) as n_samples,
        cast(n_lost as bigint) as n_lost,
        reason
    from every_step

)

select * from final
order by keyword_set, step_order
