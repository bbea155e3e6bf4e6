with samples as (

    select * from {{ ref('samples') }} where sha256 is not null

),

final as (

    select
        sha256,
        count(*) as n_samples,
        count(distinct caption) as n_captions_distinct,
        min(url) as first_url
    from samples
    group by sha256
    having count(*) > 1

)

select * from final
