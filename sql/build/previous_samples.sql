-- The samples of a build, for the next one to compare with.
select sample_id, n_rows from samples;
