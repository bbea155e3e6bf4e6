-- The $n clean samples of the whole dataset with the smallest sample_id: md5 makes that a choice by
-- chance, which stays as the dataset grows. One row a sample. Twice as many rows are looked at, for some
-- are dirty, and some are the same sample. $addresses: see filter/rules.sql. The view source.
create or replace temp table object_background as
with smallest as (
    select *, sample_id_of(url, caption, source_id) as sample_id
    from source
    where caption is not null
    order by sample_id, source_file, source_row, caption_number
    limit 2 * $n
),
clean as (
    select *, decoded(caption) as caption_decoded
    from smallest
    where len(
        broken_rules(url, caption, decoded(caption), width, height, similarity, $addresses)
    ) = 0
)
select sample_id, url, source_file, source_row, caption_decoded as text
from clean
qualify row_number() over (partition by sample_id order by source_file, source_row, caption_number) = 1
order by sample_id
limit $n;
