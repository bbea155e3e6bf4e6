-- Captions to ask a generator for, which name no object of the study and whose own images show none: what
-- comes along then was not theirs. One row a keyword set and caption, that of the smallest sample_id.
-- $detections, $keyword_matches, $samples: parquet files.
with without as (
    select image_id as sample_id
    from read_parquet($detections)
    where population = 'train'
    group by image_id
    having not bool_or(shows or is_named)
)
select distinct on (matches.keyword_set, samples.caption_decoded)
    matches.keyword_set,
    samples.sample_id as cluster,
    'caption' as family,
    samples.caption_decoded as prompt
from without
join read_parquet($samples) as samples using (sample_id)
join read_parquet($keyword_matches) as matches using (sample_id)
order by matches.keyword_set, samples.caption_decoded, samples.sample_id;
