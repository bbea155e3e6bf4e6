-- Fails with each keyword set that does not match as many samples as it says.
select
    keyword_sets.keyword_set,
    keyword_sets.n_samples,
    count(keyword_matches.sample_id) as n_matches
from {{ ref('keyword_sets') }} as keyword_sets
left join {{ ref('keyword_matches') }} as keyword_matches
    on keyword_sets.keyword_set = keyword_matches.keyword_set
group by keyword_sets.keyword_set, keyword_sets.n_samples
having keyword_sets.n_samples <> count(keyword_matches.sample_id)
