-- The first $n candidates of each keyword set. $candidates: a parquet file.
select
    keyword_set as "keyword set",
    candidate_rank as rank,
    object,
    n_with_object || ' of ' || n as shows,
    round(background_rate, 3) as background,
    format('{:.1f} ({:.1f}–{:.1f})', lift, ci_low, ci_high) as lift,
    format('{:.1e}', q_value) as q
from read_parquet($candidates)
where candidate_rank <= $n
order by keyword_set, candidate_rank;
