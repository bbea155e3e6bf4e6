-- Fails at each threshold and keep rule where kept + removed is not every sample, and for each cluster that keeps
-- another number than one: all that are wanted, none where all are to be removed.
with removal_list as (

    select * from {{ ref('removal_list') }}

),

marks as (

    select * from {{ ref('stg_marked_samples') }}

),

samples as (

    select count(*) as n_samples from {{ ref('samples') }} where status <> 'rejected'

),

members as (

    select * from {{ ref('cluster_members') }} where cluster_id is not null

),

totals as (

    select threshold, keep_rule, null as cluster_id, count(*) as n_found, any_value(n_samples) as n_expected
    from removal_list
    cross join samples
    group by threshold, keep_rule
    having n_found <> n_expected

),

-- One that is wanted may be the one that stands for the rest, too.
clusters as (

    select
        members.threshold,
        removal_list.keep_rule,
        members.cluster_id,
        count(*) filter (where removal_list.action = 'keep') as n_found,
        least(1, count(*) filter (where marks.mark is distinct from 'remove')) as n_expected,
        count(*) filter (where marks.mark = 'wanted') as n_wanted
    from members
    inner join removal_list
        on members.threshold = removal_list.threshold
        and members.sample_id = removal_list.sample_id
    left join marks on members.sample_id = marks.sample_id
    group by members.threshold, removal_list.keep_rule, members.cluster_id
    having
        n_found not between greatest(n_expected, n_wanted) and n_expected + n_wanted

)

select * from totals
union all by name
select * from clusters
