-- The matched samples: the rows that share url and caption are one, with n_rows. The clean row that
-- comes first speaks for it; a sample is rejected when each of its rows is. One row a sample.
create or replace temp table distinct_samples as
with matched_rows as (
    select
        *,
        sample_id_of(url, caption, source_id) as sample_id,
        list_transform(broken, lambda b: b.rule) as rules  -- noqa: RF01
    from kept_rows
    semi join row_matches using (source_file, source_row, caption_number)
),
ranked as (
    select
        *,
        count(*) over (partition by sample_id) as n_rows,
        row_number() over (
            partition by sample_id order by len(rules) > 0, source_file, source_row, caption_number
        ) as place
    from matched_rows
)
select * from ranked where place = 1;
