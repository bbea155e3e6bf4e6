-- Those of the kept rows that leave a trace: they match a keyword set or break a rule.
select * from kept_rows
where
    len(broken) > 0
    or (source_file, source_row, caption_number) in (
        select (source_file, source_row, caption_number) from row_matches
    );
