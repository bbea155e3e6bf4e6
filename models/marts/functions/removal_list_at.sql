{{ config(parameters=['threshold', 'keep_rule']) }}

-- Columns are written with their table: alone, `threshold` would be the parameter.
with removal_list as (

    select * from {{ ref('removal_list') }}

),

samples as (

    select * from {{ ref('samples') }}

)

select
    removal_list.sample_id,
    removal_list.action,
    removal_list.representative_sample_id,
    removal_list.reason,
    samples.url,
    samples.caption,
    removal_list.n_rows
from removal_list
inner join samples on removal_list.sample_id = samples.sample_id
where
    removal_list.threshold = cast(threshold as double)
    and removal_list.keep_rule = keep_rule
