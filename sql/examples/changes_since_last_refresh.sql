-- What the last build changed against the one before: new samples and samples that are gone; clusters
-- that grew, shrank, appeared or vanished, with a caption of each, the largest changes first.
select
    changes.kind,
    changes.threshold,
    changes.before,
    changes.after,
    samples.caption,
    changes.id
from changes
left join samples on changes.id = samples.sample_id -- a cluster has the id of one of its samples
order by
    changes.kind,
    abs(coalesce(changes.after, 0) - coalesce(changes.before, 0)) desc,
    changes.threshold,
    changes.id
limit 100;
