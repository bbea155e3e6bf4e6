-- Which captions are most duplicated: in how many rows of the data each stands, and under how many
-- urls.
select caption, n_rows, n_samples, n_urls_distinct
from duplicated_captions
order by n_rows desc, caption
limit 20;
