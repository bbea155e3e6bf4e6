-- One row per keyword set and object of the vocabulary, the first $n_candidates of each set: objects that its
-- images show, unnamed, more often than other samples do.
select
    keyword_set,
    candidate_rank,
    object,
    n,
    n_with_object,
    rate,
    background_rate,
    lift,
    ci_low,
    ci_high,
    q_value
from object_candidates
where candidate_rank <= $n_candidates
order by keyword_set, candidate_rank;
