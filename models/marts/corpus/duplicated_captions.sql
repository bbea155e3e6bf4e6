with samples as (

    select * from {{ ref('samples') }} where caption is not null

),

final as (

    select
        caption,
        cast(sum(n_rows) as bigint) as n_rows,
        count(*) as n_samples,
        count(distinct {{ address_of('url') }}) as n_urls_distinct
    from samples
    group by caption
    having sum(n_rows) > 1

)

select * from final
