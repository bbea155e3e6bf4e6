with runs as (

    select * from {{ ref('stg_runs') }}

),

final as (

    select
        run_id,
        stage,
        started_at,
        finished_at,
        epoch(finished_at - started_at) as seconds,
        status,
        error,
        n_in,
        n_out,
        n_lost,
        lost,
        n_asked,
        n_missing,
        missing,
        versions,
        study_hash
    from runs

)

select * from final
order by run_id
