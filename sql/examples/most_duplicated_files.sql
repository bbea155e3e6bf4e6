-- Which image files are there several times, byte for byte, and with how many different captions.
select
    sha256,
    count(*) as n_samples,
    count(distinct caption) as n_captions_distinct,
    min(url) as first_url
from samples
where sha256 is not null
group by sha256
having count(*) > 1
order by n_samples desc, sha256
limit 20;
