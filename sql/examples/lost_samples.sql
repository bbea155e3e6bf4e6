-- Where samples of each keyword set are lost on the way from their caption to their embedding, and
-- why.
select keyword_set, step, n_samples, n_lost, reason
from funnel
order by keyword_set, step_order;
