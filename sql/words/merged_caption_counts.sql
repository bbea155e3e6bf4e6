-- caption_counts of all groups of files.
create or replace temp view caption_counts as
select sum(n_captions)::bigint as n_captions from shard_caption_counts;
