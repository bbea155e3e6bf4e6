-- One row per kind of change and threshold: how many there are since the build before, and the samples in the
-- clusters (or rows of the samples) that changed, before and after. Nothing, when it was the first build.
select
    kind,
    threshold,
    count(*) as n_changes,
    cast(coalesce(sum(before), 0) as bigint) as n_before,
    cast(coalesce(sum(after), 0) as bigint) as n_after
from changes
group by kind, threshold
order by kind like 'cluster%', kind, threshold;
