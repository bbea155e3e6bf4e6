-- Fails with each sample that left the flow without a reason.
select sample_id, status
from {{ ref('samples') }}
where status in ('rejected', 'fetch_failed', 'embed_failed') and status_reason is null
