-- One row a keyword set of the study, with the number of distinct samples that match it.
create or replace temp table keyword_set_counts as
select
    keyword_sets.keyword_set,
    keyword_sets.include,
    keyword_sets.any_of,
    keyword_sets.exclude,
    keyword_sets.parent_keyword_set,
    count(keyword_matches.sample_id) as n_samples
from keyword_sets
left join keyword_matches using (keyword_set)
group by all
order by keyword_set;
