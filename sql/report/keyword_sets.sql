-- One row per keyword set, the largest first: the words that a caption must say, and how many do.
select
    keyword_set,
    array_to_string(include, ', ') as include,
    array_to_string(any_of, ', ') as any_of,
    array_to_string(exclude, ', ') as exclude,
    parent_keyword_set,
    threshold,
    is_follow_up,
    n_samples
from keyword_sets
order by n_samples desc, keyword_set;
