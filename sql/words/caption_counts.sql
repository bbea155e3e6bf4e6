-- One row: how many captions the corpus has.
create or replace temp view caption_counts as
select count(caption) as n_captions from source;
