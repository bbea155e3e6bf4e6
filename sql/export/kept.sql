-- What to keep. Table chosen.
select sample_id, url, caption, n_rows, reason
from chosen
where action = 'keep'
order by sample_id;
