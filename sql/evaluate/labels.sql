-- The label of each image of the relation chosen (place, source_file, source_row), by place; null
-- where the column says nothing (pandas writes that as NaN). The view source, whose first carried column
-- is the label.
with labels as (
    select
        source_file,
        source_row,
        any_value(nullif(memtriggers_column_0::varchar, 'nan')) as label
    from source
    group by source_file, source_row
)

select labels.label
from chosen
left join labels
    on labels.source_file = chosen.source_file
    and labels.source_row = chosen.source_row
order by chosen.place;
