-- The counts of all groups of files. They add up: a caption lies in one file.
create or replace temp view word_counts as
select word, sum(n_captions)::bigint as n_captions, sum(n_occurrences)::bigint as n_occurrences
from shard_word_counts
group by word;

create or replace temp view pair_counts as
select pair, sum(n_captions)::bigint as n_captions, sum(n_occurrences)::bigint as n_occurrences
from shard_pair_counts
group by pair;

create or replace temp view caption_counts as
select sum(n_captions)::bigint as n_captions from shard_caption_counts;
