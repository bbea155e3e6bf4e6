-- Which image files are there several times, byte for byte, and with how many different captions.
select sha256, n_samples, n_captions_distinct, first_url
from duplicated_files
order by n_samples desc, sha256
limit 20;
