-- Fails at each threshold and keep rule where kept + removed is not every sample, or where more or
-- less is dropped than all members but one of each cluster.
with counted as (

    select
        threshold,
        keep_rule,
        count(*) as n_rows,
        count(*) filter (action = 'drop') as n_dropped
    from {{ ref('removal_list') }}
    group by threshold, keep_rule

),

samples as (

    select count(*) as n_samples from {{ ref('samples') }} where status <> 'rejected'

),

clusters as (

    select threshold, sum(n_samples - 1) as n_superfluous
    from {{ ref('clusters') }}
    group by threshold

)

select counted.*, samples.n_samples, coalesce(clusters.n_superfluous, 0) as n_superfluous
from counted
cross join samples
left join clusters on counted.threshold = clusters.threshold
where
    counted.n_rows <> samples.n_samples
    or counted.n_dropped <> coalesce(clusters.n_superfluous, 0)
