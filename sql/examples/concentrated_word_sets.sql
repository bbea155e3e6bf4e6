-- Which sets of words lead to one image: of all captions that say the words, the share in one
-- cluster and its honest 95 % interval, the largest trigger score first, at $threshold (by default
-- the middle one); concentration is the share in any cluster of the keyword set. Where no interval
-- is honest, the plain one ranks.
select
    keyword_set,
    array_to_string(words, ' ') as words,
    n_samples,
    n_in_cluster,
    share_in_cluster,
    ci_honest_low,
    ci_honest_high,
    ci_low,
    ci_high,
    trigger_score,
    concentration,
    cluster_id
from word_sets
where threshold = coalesce(
    $threshold::double,
    (select quantile_disc(threshold, 0.5) from (select distinct threshold from clusters))
)
order by trigger_score desc nulls last, ci_low desc nulls last, n_samples desc, keyword_set, words
limit 20;
