-- Fails with each step whose samples are not those of the step before less those that it lost, and
-- with each keyword set whose first or last step disagrees with the tables that it counts.
with steps as (

    select
        *,
        lag(n_samples) over (partition by keyword_set order by step_order) - n_lost as n_expected
    from {{ ref('funnel') }}

),

counted as (

    select
        keyword_sets.keyword_set,
        count(samples.sample_id) as n_matched,
        count(samples.sample_id) filter (samples.status = 'embedded') as n_embedded
    from {{ ref('keyword_sets') }} as keyword_sets
    left join {{ ref('keyword_matches') }} as keyword_matches
        on keyword_sets.keyword_set = keyword_matches.keyword_set
    left join {{ ref('samples') }} as samples
        on keyword_matches.sample_id = samples.sample_id
    group by keyword_sets.keyword_set

)

select steps.*, counted.n_matched, counted.n_embedded
from steps
inner join counted on steps.keyword_set = counted.keyword_set
where
    steps.n_samples <> steps.n_expected
    or (steps.step = 'matched' and steps.n_samples <> counted.n_matched)
    or (steps.step = 'embedded' and steps.n_samples <> counted.n_embedded)
