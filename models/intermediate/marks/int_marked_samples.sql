{#- A table, which is mostly empty: what joins it does so for nothing only where DuckDB knows that. -#}
-- A mark is of the images that a person saw, whatever clusters they are in at another threshold. Of two marks, that
-- of the smaller cluster holds: the one at the higher threshold.
with marks as (

    select * from {{ ref('stg_cluster_marks') }}

),

members as (

    select * from {{ ref('stg_cluster_members') }} where cluster_id is not null

),

marked as (

    select
        members.sample_id,
        marks.mark,
        marks.threshold,
        members.cluster_id,
        marks.decided_at
    from marks
    inner join members as named
        on marks.threshold = named.threshold
        and marks.sample_id = named.sample_id
    inner join members
        on named.threshold = members.threshold
        and named.cluster_id = members.cluster_id

)

select sample_id, mark
from marked
qualify row_number() over (
    partition by sample_id
    order by threshold desc, decided_at desc, cluster_id
) = 1
