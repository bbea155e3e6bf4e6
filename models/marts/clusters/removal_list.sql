with samples as (

    -- A rejected row is dirty, not a duplicate: rejected_rows lists it.
    select * from {{ ref('samples') }} where status <> 'rejected'

),

clusters as (

    select * from {{ ref('clusters') }}

),

cluster_members as (

    select * from {{ ref('cluster_members') }}

),

marks as (

    select * from {{ ref('int_marked_samples') }}

),

thresholds as (

    select distinct threshold from cluster_members

),

keep_rules as (

    select *
    from (
        values
        ('best', 'the one with the most pixels in its cluster'),
        ('first', 'the one with the smallest sample_id in its cluster'),
        ('medoid', 'the medoid of its cluster')
    ) as keep_rules (keep_rule, distinction)

),

clustered as (

    select
        cluster_members.threshold,
        cluster_members.cluster_id,
        cluster_members.sample_id,
        coalesce(marks.mark = 'remove', false) as is_to_remove,
        coalesce(cast(samples.original_width as bigint) * samples.original_height, 0) as n_pixels
    from cluster_members
    inner join samples on cluster_members.sample_id = samples.sample_id
    left join marks on cluster_members.sample_id = marks.sample_id
    where cluster_members.cluster_id is not null

),

-- What is to be removed stands for nothing.
ends as (

    select
        threshold,
        cluster_id,
        arg_min(sample_id, (-n_pixels, sample_id)) as best,
        min(sample_id) as first
    from clustered
    where not is_to_remove
    group by threshold, cluster_id

),

-- Where that is the medoid, the next one to it stands for the rest.
stand_ins as (

    select
        clusters.threshold,
        clusters.cluster_id,
        arg_min(
            cluster_members.sample_id,
            (-cluster_members.cosine_to_medoid, cluster_members.sample_id)
        ) as medoid
    from clusters
    inner join marks as mark_of_medoid on clusters.medoid_sample_id = mark_of_medoid.sample_id
    inner join cluster_members
        on clusters.threshold = cluster_members.threshold
        and clusters.cluster_id = cluster_members.cluster_id
    left join marks on cluster_members.sample_id = marks.sample_id
    where mark_of_medoid.mark = 'remove' and marks.mark is distinct from 'remove'
    group by clusters.threshold, clusters.cluster_id

),

kept as (

    select
        ends.threshold,
        ends.cluster_id,
        keep_rules.keep_rule,
        case keep_rules.keep_rule
            when 'best' then ends.best
            when 'first' then ends.first
            when 'medoid' then coalesce(stand_ins.medoid, clusters.medoid_sample_id)
        end as kept_sample_id
    from ends
    inner join clusters
        on ends.threshold = clusters.threshold
        and ends.cluster_id = clusters.cluster_id
    left join stand_ins
        on ends.threshold = stand_ins.threshold
        and ends.cluster_id = stand_ins.cluster_id
    cross join keep_rules

),

at_thresholds as (

    select
        thresholds.threshold,
        samples.sample_id,
        samples.n_rows,
        samples.status,
        marks.mark,
        clustered.cluster_id
    from samples
    left join marks on samples.sample_id = marks.sample_id
    cross join thresholds
    left join clustered
        on thresholds.threshold = clustered.threshold
        and samples.sample_id = clustered.sample_id

),

by_rule as (

    select
        at_thresholds.*,
        keep_rules.keep_rule,
        keep_rules.distinction,
        case
            when at_thresholds.mark = 'remove' then null
            when at_thresholds.mark = 'wanted' then at_thresholds.sample_id
            when at_thresholds.status <> 'embedded' and at_thresholds.cluster_id is null then null
            else coalesce(kept.kept_sample_id, at_thresholds.sample_id)
        end as representative_sample_id
    from at_thresholds
    cross join keep_rules
    left join kept
        on at_thresholds.threshold = kept.threshold
        and at_thresholds.cluster_id = kept.cluster_id
        and keep_rules.keep_rule = kept.keep_rule

),

final as (

    select
        threshold,
        keep_rule,
        sample_id,
        n_rows,
        case
            when sample_id = representative_sample_id then 'keep'
            when mark is null and status <> 'embedded' and cluster_id is null then 'not_judged'
            else 'drop'
        end as action,
        representative_sample_id,
        case
            when mark = 'remove' then 'its cluster is marked: to remove'
            when mark = 'wanted' then 'its cluster is marked: wanted'
            when cluster_id is null and status <> 'embedded' then 'it has no embedding'
            when cluster_id is null then 'nothing is nearly identical to it'
            when sample_id = representative_sample_id then 'it is ' || distinction
            else 'it is nearly identical to ' || distinction
        end as reason
    from by_rule

)

select * from final
