with source as (

    select * from {{ source('lake', 'samples') }}

),

renamed as (

    select
        * rename (status as filter_status, status_reason as filter_reason),
        {{ domain_of('url') }} as domain
    from source

)

select * from renamed
