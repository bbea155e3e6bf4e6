-- One sample, $sample; no row where there is none.
select sample_id, url, caption, n_rows, width, height, original_width, original_height, status, status_reason, sha256
from samples
where sample_id = $sample;
