-- One row a sample that is in the metadata: the place of its first row, and what the rows of vectors
-- there hold: the files' contents and the row; null where there are no such files.
-- $samples: the parquet file of samples. View source: the metadata. Relation array_contents
-- (source_file, image, caption): the contents of the files of vectors beside each of metadata.
create or replace temp table imported_places as
with found as (
    select sample_id_of(url, caption, source_id) as sample_id, source_file, source_row from source
),
placed as (
    select sample_id, found.source_file, found.source_row
    from read_parquet($samples) as samples
    join found using (sample_id)
    where samples.status = 'ok'
    qualify row_number() over (
        partition by sample_id order by found.source_file, found.source_row
    ) = 1
)
select
    placed.*,
    array_contents.image || ' ' || placed.source_row as image_origin,
    array_contents.caption || ' ' || placed.source_row as caption_origin
from placed
join array_contents using (source_file);
