-- Fails for each sample that does not have as many source rows as it counts. A lake whose rows an earlier version
-- filtered has none at all.
with samples as (

    select * from {{ ref('samples') }}

),

sample_rows as (

    select * from {{ ref('sample_rows') }}

),

counted as (

    select sample_id, count(*) as n_found from sample_rows group by sample_id

)

select samples.sample_id, samples.n_rows, counted.n_found
from samples
left join counted on samples.sample_id = counted.sample_id
where samples.n_rows is distinct from counted.n_found and exists (select 1 from sample_rows)
