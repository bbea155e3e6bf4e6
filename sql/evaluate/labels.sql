-- The label of each image of the relation chosen (place, source_file, source_row), by place; null
-- where the column says nothing (pandas writes that as NaN). $files: the parquet files of the source;
-- $label: the column's name.
with labels as (
    select
        memtriggers_file as source_file,
        file_row_number as source_row,
        nullif(columns(column_name -> column_name = $label)::varchar, 'nan') as label
    from read_parquet($files, filename = 'memtriggers_file', file_row_number = true, union_by_name = true)
)

select labels.label
from chosen
left join labels
    on labels.source_file = chosen.source_file
    and labels.source_row = chosen.source_row
order by chosen.place;
