with word_sets as (

    select *
    from {{ ref('stg_word_sets') }}
    anti join (
        select * from {{ ref('clusters') }} where excluded_reason is not null
    ) as excluded using (threshold, cluster_id)

),

fits as (

    select * from {{ ref('risk_fits') }}

),

-- What a cluster shows: its medoid.
shown as (

    select clusters.threshold, clusters.cluster_id, samples.colour_stddev / 255 as contrast
    from {{ ref('clusters') }} as clusters
    join {{ ref('samples') }} as samples on clusters.medoid_sample_id = samples.sample_id

),

with_features as (

    select
        word_sets.*,
        fits.risk_fit,
        fits.coefficients,
        fits.covariance,
        if(
            fits.risk_fit is not null,
            {{ risk_features(
                'n_in_cluster * fits.views',
                'n_in_cluster',
                'n_samples',
                'coalesce(shown.contrast, fits.typical_contrast)'
            ) }},
            null
        ) as features
    from word_sets
    left join fits on true
    left join shown using (threshold, cluster_id)

),

-- The standard error of the logit, by the delta method.
with_logits as (

    select
        *,
        list_dot_product(coefficients, features) as risk_logit,
        sqrt(list_dot_product(
            list_transform(covariance, lambda terms: list_dot_product(terms, features)), features
        )) as risk_error
    from with_features

)

select
    * exclude (coefficients, covariance, features, risk_logit, risk_error),
    1 / (1 + exp(-risk_logit)) as replication_risk,
    1 / (1 + exp(-(risk_logit - 1.959964 * risk_error))) as replication_risk_low,
    1 / (1 + exp(-(risk_logit + 1.959964 * risk_error))) as replication_risk_high
from with_logits
