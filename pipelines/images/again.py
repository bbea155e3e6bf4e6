"""Images that are fetched again: what comes replaces what was there, unless it may pass."""

import logging
from collections import Counter

import pyarrow as pa

from ...lance.store import VectorStore
from ...lance.tables import IMAGES, OK
from ..core.quoting import literal

log = logging.getLogger(__name__)

_PASSING = (
    *("connection", "dns", "http_408", "http_429", "not_found", "timeout"),
    *("too_large_for_memory", "unexpected", "unreadable"),
)
CAN_PASS = f"status in ({', '.join(map(literal, _PASSING))}) or status like 'http_5%'"


def can_pass(status: str) -> bool:
    """Whether another try may mend what ended so: a busy server, a missing file, the network."""
    return status in _PASSING or status.startswith("http_5")


class Replacing:
    """Commits rows of `images` in the place of those of the same samples.

    What the address says for good replaces the image: another one, or that it is gone, no image or
    opted out, as a new lake would have it. A host that is down, or busy, says nothing of the image:
    that of before stays, with the time when it was fetched, so that the next `--again` tries it.
    """

    def __init__(self, store: VectorStore) -> None:
        self._store = store
        self._kept: Counter[str] = Counter()  # by the status of what failed

    def commit(self, rows: pa.Table) -> None:
        """Replace rows as one transaction; those that failed in passing leave an image alone."""
        ids, statuses = rows["sample_id"].to_pylist(), rows["status"].to_pylist()
        failed = {i: status for i, status in zip(ids, statuses, strict=True) if can_pass(status)}
        kept = self._with_image(list(failed))
        self._kept.update(failed[sample_id] for sample_id in kept)
        self._store.replace(IMAGES, rows.filter(pa.array(i not in kept for i in ids)))

    def _with_image(self, sample_ids: list[str]) -> set[str]:
        """Those that have an image by now."""
        if not sample_ids:
            return set()
        where = f"status = '{OK}' and sample_id in ({', '.join(map(literal, sample_ids))})"
        return set(self._store.reader(IMAGES.name, ["sample_id"], where).read_all()[0].to_pylist())

    def report(self) -> None:
        """Warn of images that stay though they could not be fetched again."""
        if self._kept:
            reasons = ", ".join(f"{status} {n:,}" for status, n in self._kept.most_common())
            log.warning(
                "fetch: images that could not be fetched again stay as they were: %s", reasons
            )
