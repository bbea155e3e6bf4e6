-- One row per keyword set and step: samples left after the step, and what the step lost them to.
select keyword_set, step, funnel.n_samples, n_lost, reason
from funnel
join keyword_sets using (keyword_set)
order by keyword_sets.n_samples desc, keyword_set, step_order;
