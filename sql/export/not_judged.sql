-- What could not be judged, for want of an image or an embedding. Table chosen.
select sample_id, url, caption, n_rows, reason
from chosen
where action = 'not_judged'
order by sample_id;
