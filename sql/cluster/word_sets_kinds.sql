-- One row a listed word set of a split cluster and kind of domain: how many domains of the estimating
-- half (n_domains) have n_samples samples in the corpus that say the words, of which n_in_cluster lie
-- in the cluster. Domains of a kind are counted, not listed: most are strangers to the cluster.
with split as (
    select word_set, words, threshold, cluster_id
    from listed_word_sets
    join set_clusters using (keyword_set, threshold, cluster_id)
    where is_split
),
in_cluster as (
    select words, threshold, cluster_id, domain, count(*) as n_in_cluster
    from saying
    join read_parquet($cluster_members) as cluster_members using (sample_id)
    where cluster_id is not null and domain is not null
    group by all
),
inside as (
    select word_set, n_samples, n_in_cluster, count(*) as n_domains
    from split
    join in_cluster using (words, threshold, cluster_id)
    join corpus_word_sets using (words, domain)
    group by all
),
of_words as (
    select words, n_samples, count(*) as n_domains
    from corpus_word_sets
    where domain is not null
    group by all
),
-- The strangers are all domains less those inside.
kinds as (
    select word_set, n_samples, n_in_cluster, n_domains from inside
    union all
    select word_set, n_samples, 0 as n_in_cluster, -n_domains as n_domains from inside
    union all
    select word_set, n_samples, 0 as n_in_cluster, n_domains from split join of_words using (words)
)
select word_set, n_samples, n_in_cluster, sum(n_domains)::bigint as n_domains
from kinds
group by word_set, n_samples, n_in_cluster
having sum(n_domains) > 0
order by word_set, n_samples, n_in_cluster;
