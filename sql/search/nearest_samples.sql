-- The samples that were found among the present ones, the most similar first.
-- $samples: the parquet file of samples; $limit: how many. Relation found (sample_id, cosine).
select found.cosine, samples.sample_id, samples.caption, samples.url
from read_parquet($samples) as samples
join found on found.sample_id = samples.sample_id
order by found.cosine desc, samples.sample_id
limit $limit;
