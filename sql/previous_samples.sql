-- The samples of the attached build before.
select sample_id, n_rows from previous.samples;
