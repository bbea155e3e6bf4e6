with groups as (

    select * from {{ ref('stg_trigger_validation') }}

),

fits as (

    select * from {{ ref('risk_fits') }}

),

with_features as (

    select
        groups.*,
        fits.coefficients,
        if(
            groups.split is not null,
            {{ risk_features('groups.exposures', 'groups.n_copies', 'groups.n_captions', 'groups.contrast') }},
            null
        ) as features
    from groups
    cross join fits

)

select
    group_id,
    kind,
    prompt_kind,
    guidance_scale,
    n_captions,
    n_copies,
    n_copies / n_captions as share,
    exposures,
    contrast,
    split,
    1 / (1 + exp(-list_dot_product(coefficients, features))) as replication_risk,
    n_replicated / n_generations as replication_rate,
    n_replicated,
    n_generations
from with_features
