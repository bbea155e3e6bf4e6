-- Fails at each threshold and keep rule where kept + dropped + not judged is not every sample, where more or less is
-- dropped than all members but one of each cluster, or where one is not judged that has an embedding or a cluster; and for each cluster with a marked sample that keeps another number than one,
-- all that are wanted, and none where all are to be removed.
with removal_list as (

    select * from {{ ref('removal_list') }}

),

marks as (

    select * from {{ ref('int_marked_samples') }}

),

members as (

    select * from {{ ref('cluster_members') }} where cluster_id is not null

),

touched as (

    select distinct members.threshold, members.cluster_id
    from members
    inner join marks on members.sample_id = marks.sample_id

),

touched_members as (

    select members.threshold, members.cluster_id, members.sample_id, marks.mark
    from members
    inner join touched
        on members.threshold = touched.threshold
        and members.cluster_id = touched.cluster_id
    left join marks on members.sample_id = marks.sample_id

),

counted as (

    select
        removal_list.threshold,
        removal_list.keep_rule,
        count(*) as n_rows,
        count(*) filter (
            where removal_list.action = 'drop'
            and touched_members.sample_id is null
            and marks.sample_id is null
        ) as n_dropped,
        count(*) filter (where removal_list.action = 'not_judged') as n_not_judged
    from removal_list
    left join touched_members
        on removal_list.threshold = touched_members.threshold
        and removal_list.sample_id = touched_members.sample_id
    left join marks on removal_list.sample_id = marks.sample_id
    group by removal_list.threshold, removal_list.keep_rule

),

samples as (

    select
        count(*) as n_samples,
        count(*) filter (where status <> 'embedded' and marks.sample_id is null) as n_unembedded
    from {{ ref('samples') }} as samples
    left join marks on samples.sample_id = marks.sample_id
    where status <> 'rejected'

),

-- What is in a cluster was compared, though its embedding may have gone since.
judged_before as (

    select members.threshold, count(*) as n_judged
    from members
    inner join {{ ref('samples') }} as samples on members.sample_id = samples.sample_id
    left join marks on members.sample_id = marks.sample_id
    where samples.status not in ('embedded', 'rejected') and marks.sample_id is null
    group by members.threshold

),

clusters as (

    select threshold, sum(n_samples - 1) as n_superfluous
    from {{ ref('clusters') }}
    anti join touched using (threshold, cluster_id)
    group by threshold

),

wrong_totals as (

    select counted.*, samples.n_samples, coalesce(clusters.n_superfluous, 0) as n_superfluous
    from counted
    cross join samples
    left join clusters on counted.threshold = clusters.threshold
    left join judged_before on counted.threshold = judged_before.threshold
    where
        counted.n_rows <> samples.n_samples
        or counted.n_not_judged <> samples.n_unembedded - coalesce(judged_before.n_judged, 0)
        or counted.n_dropped <> coalesce(clusters.n_superfluous, 0)

),

-- One that is wanted may be the one that stands for the rest, too.
wrong_clusters as (

    select
        touched_members.threshold,
        touched_members.cluster_id,
        removal_list.keep_rule,
        count(*) filter (where removal_list.action = 'keep') as n_kept,
        least(1, count(*) filter (where mark is distinct from 'remove')) as n_representatives,
        count(*) filter (where mark = 'wanted') as n_wanted
    from touched_members
    inner join removal_list
        on touched_members.threshold = removal_list.threshold
        and touched_members.sample_id = removal_list.sample_id
    group by touched_members.threshold, touched_members.cluster_id, removal_list.keep_rule
    having n_kept not between greatest(n_representatives, n_wanted) and n_representatives + n_wanted

)

select * from wrong_totals
union all by name
select * from wrong_clusters
