-- What to remove, and which kept sample stands for it. Table chosen.
select sample_id, url, caption, n_rows, representative_sample_id, reason
from chosen
where action = 'drop'
order by sample_id;
