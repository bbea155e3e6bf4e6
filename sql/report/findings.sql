-- One row: the figures of the findings, null where there is nothing to find; follow-up sets aside. A cluster belongs to a
-- keyword set with at least the minimum number of samples of the set; blank images and placeholders
-- are left out.
with study_sets as (
    select keyword_set, threshold from keyword_sets where not is_follow_up
),
study_samples as (
    select samples.status
    from samples
    semi join (from keyword_matches semi join study_sets using (keyword_set)) as matched using (sample_id)
),
belonging as (
    select *
    from keyword_clusters
    semi join study_sets using (keyword_set, threshold)
    where n_samples >= $min_cluster_size and excluded_reason is null
),
counted as (
    select
        funnel.keyword_set,
        any_value(funnel.n_samples) as n_embedded,
        any_value(keyword_sets.n_samples) as n_matched,
        count(cluster_id) as n_clusters,
        coalesce(sum(belonging.n_samples), 0) / any_value(funnel.n_samples) as share
    from funnel
    semi join study_sets using (keyword_set)
    join keyword_sets using (keyword_set)
    left join belonging using (keyword_set)
    where funnel.step = 'embedded' and funnel.n_samples > 0
    group by funnel.keyword_set
),
most as (
    select * from counted where n_clusters > 0 order by share desc, keyword_set limit 1
),
least as (
    select * from counted order by share, keyword_set desc limit 1
),
largest as (
    select
        belonging.keyword_set,
        belonging.cluster_rank,
        belonging.n_samples,
        clusters.n_captions_distinct,
        clusters.cosine_to_medoid_min
    from belonging
    join clusters using (threshold, cluster_id)
    order by belonging.n_samples desc, belonging.keyword_set, belonging.cluster_rank
    limit 1
),
telling as (
    select
        word_sets.keyword_set,
        array_to_string(words, ' + ') as words,
        word_sets.n_samples,
        n_in_cluster,
        share_in_cluster,
        ci_honest_low is not null as is_honest,
        coalesce(ci_honest_low, ci_low) as ci_low,
        coalesce(ci_honest_high, ci_high) as ci_high
    from word_sets
    semi join study_sets using (keyword_set, threshold)
    where n_in_cluster >= $min_cluster_size
    order by
        trigger_score desc nulls last,
        word_sets.ci_low * log2(1 + n_in_cluster) desc,
        len(words),
        word_sets.words,
        keyword_set,
        cluster_id
    limit 1
),
asked as (
    select *
    from replication
    join prompts using (prompt_id)
    where metric in ('clip', 'l2_relative') and reference = 'representatives' and n_generations > 0
    -- 'l2_relative', where there is one
    qualify metric = max(metric) over (partition by generator_id, prompt_id)
),
-- More often than the prompts of other clusters, whichever other seeds one had taken.
copied as (
    select *
    from asked
    where ci_low > coalesce(background_rate, 0)
    order by ci_low desc, family <> 'keywords', prompt, generator_id
    limit 1
),
removal as (
    select
        count(*) filter (where action <> 'not_judged') as n_judged,
        count(*) filter (where action = 'not_judged') as n_not_judged,
        count(*) filter (where action = 'drop') as n_drop
    from removal_list
    where threshold = $threshold and keep_rule = 'best'
)
select
    (select count(*) from study_samples) as n_samples,
    (select count(*) from study_samples where status = 'embedded') as n_embedded,
    most.keyword_set as most_keyword_set,
    most.n_clusters as most_n_clusters,
    most.n_embedded as most_n_embedded,
    most.n_matched as most_n_matched,
    most.share as most_share,
    least.keyword_set as least_keyword_set,
    least.share as least_share,
    largest.keyword_set as largest_keyword_set,
    largest.cluster_rank as largest_cluster_rank,
    largest.n_samples as largest_n_samples,
    largest.n_captions_distinct as largest_n_captions_distinct,
    largest.cosine_to_medoid_min as largest_cosine_to_medoid_min,
    telling.keyword_set as telling_keyword_set,
    telling.words as telling_words,
    telling.n_samples as telling_n_samples,
    telling.n_in_cluster as telling_n_in_cluster,
    telling.share_in_cluster as telling_share_in_cluster,
    telling.is_honest as telling_is_honest,
    telling.ci_low as telling_ci_low,
    telling.ci_high as telling_ci_high,
    (select count(*) from prompts) as n_prompts_made,
    (select count(distinct prompt_id) from asked) as n_prompts,
    (
        select count(distinct prompt_id) from asked where ci_low > coalesce(background_rate, 0)
    ) as n_prompts_copied,
    copied.prompt as copied_prompt,
    copied.n_generations as copied_n_generations,
    copied.n_replicated as copied_n_replicated,
    copied.ci_low as copied_ci_low,
    copied.ci_high as copied_ci_high,
    removal.n_drop as removal_n_drop,
    removal.n_judged as removal_n_judged,
    removal.n_not_judged as removal_n_not_judged,
    removal.n_drop / nullif(removal.n_judged, 0) as removal_share_drop
from removal
left join most on true
left join least on true
left join largest on true
left join telling on true
left join copied on true;
