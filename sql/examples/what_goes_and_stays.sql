-- How much goes and how much stays at $threshold (by default the highest) under each keep rule, and
-- why.
select
    keep_rule,
    action,
    reason,
    count(*) as n_samples,
    sum(n_rows)::bigint as n_rows
from removal_list
where threshold = coalesce($threshold::double, (select max(threshold) from cluster_members))
group by keep_rule, action, reason
order by keep_rule, action, n_samples desc, reason;
