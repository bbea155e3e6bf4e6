-- One row: what was scanned, how much of it matches a keyword set, and the build that says so.
select
    (select count(*) from source_files) as n_files,
    (select cast(coalesce(sum(n_rows), 0) as bigint) from source_files) as n_rows,
    (select string_agg(distinct shape, ', ' order by shape) from source_files) as shapes,
    (select count(*) from keyword_sets) as n_keyword_sets,
    (select count(*) from samples) as n_samples,
    (select count(*) from samples where status = 'embedded') as n_embedded,
    strftime(built_at, '%Y-%m-%d %H:%M') as built_at,
    build,
    previous_build,
    clip_id,
    memtriggers_version
from build_info;
