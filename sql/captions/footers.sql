-- One row a parquet file: how many rows it has, and its schema as one text, which is equal where files are alike.
-- $files: patterns of the files.
with schemas as (
    select
        file_name,
        list(
            {
                'name': name,
                'type': type,
                'length': type_length,
                'repetition': repetition_type,
                'children': num_children,
                'converted': converted_type,
                'scale': scale,
                'precision': precision,
                'logical': logical_type
            }
            order by column_id
        )::varchar as file_schema
    from parquet_schema($files)
    group by file_name
)
select file_name, num_rows as n_rows, md5(file_schema) as file_schema
from parquet_file_metadata($files)
join schemas using (file_name);
