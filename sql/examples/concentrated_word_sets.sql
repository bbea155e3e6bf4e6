-- Which sets of words lead to one image: of all captions that say the words, the share in one
-- cluster, the largest lower end of its 95 % interval first, at $threshold (by default the middle
-- one); concentration is the share in any cluster of the keyword set.
select
    keyword_set,
    array_to_string(words, ' ') as words,
    n_samples,
    n_in_cluster,
    share_in_cluster,
    ci_low,
    ci_high,
    concentration,
    cluster_id
from word_sets
where threshold = coalesce(
    $threshold::double,
    (select quantile_disc(threshold, 0.5) from (select distinct threshold from clusters))
)
order by ci_low desc nulls last, n_samples desc, keyword_set, words
limit 20;
