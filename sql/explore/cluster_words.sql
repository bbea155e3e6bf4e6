-- The twelve most frequent words of cluster $cluster at $threshold, and how many of its captions say each.
select word, max(n_captions) as n_captions
from cluster_words
where threshold = $threshold and cluster_id = $cluster and word_rank <= 12
group by word
order by n_captions desc, word
limit 12;
