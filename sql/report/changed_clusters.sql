-- One row per cluster that appeared, vanished, grew or shrank since the build before, the $n_changes largest
-- changes at the threshold of the report.
select
    changes.kind,
    changes.before,
    changes.after,
    samples.caption,
    changes.id
from changes
left join samples on changes.id = samples.sample_id -- a cluster has the id of one of its samples
where changes.kind like 'cluster%' and changes.threshold = $threshold
order by
    abs(coalesce(changes.after, 0) - coalesce(changes.before, 0)) desc,
    changes.kind,
    changes.id
limit $n_changes;
