-- word_counts of all groups of files. They add up: a caption lies in one file.
create or replace temp table word_counts as
select word, sum(n_captions)::bigint as n_captions, sum(n_occurrences)::bigint as n_occurrences
from shard_word_counts
group by word;
