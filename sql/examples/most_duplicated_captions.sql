-- Which captions are most duplicated: in how many rows of the data each stands, and under how many
-- urls.
select
    caption,
    sum(n_rows)::bigint as n_rows,
    count(*) as n_samples,
    count(distinct url) as n_urls_distinct
from samples
group by caption
having sum(n_rows) > 1
order by n_rows desc, caption
limit 20;
