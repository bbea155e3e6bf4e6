-- How often images show an object unnamed: in training, and over all prompts of a generator. $rates: a
-- parquet file.
select
    keyword_set as "keyword set",
    object,
    detector_id as detector,
    population || coalesce(' by ' || left(generator_id, 8), '') as "images",
    n_with_object || ' of ' || n as shows,
    format('{:.3f} ({:.3f}–{:.3f})', rate, ci_low, ci_high) as rate,
    format('{:.3f} ({:.3f}–{:.3f})', corrected_rate, corrected_ci_low, corrected_ci_high)
        as corrected,
    format(
        '{:.1f} ({:.1f}–{:.1f})', amplification, amplification_ci_low, amplification_ci_high
    ) as amplification
from read_parquet($rates)
where population = 'train' or (family is null and prompt_id is null)
order by all;
