-- The hosts whose images did not come, by status: how many, of how many that were asked of the host, and
-- why the first of them did not. Largest first.
with asked as (
    select domain, image_status, status_reason, url
    from samples
    where domain is not null and image_status is not null
),

counted as (
    select
        domain,
        image_status,
        count(*) as n_samples,
        min(url) as first_url,
        arg_min(status_reason, url) as first_reason
    from asked
    group by domain, image_status
)

select
    domain,
    image_status,
    n_samples,
    sum(n_samples) over (partition by domain) as n_asked_of_host,
    first_url,
    first_reason
from counted
qualify image_status != 'ok'
order by n_samples desc, domain, image_status
limit 100;
