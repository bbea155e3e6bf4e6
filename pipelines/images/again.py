"""Images that are fetched again: what comes replaces what was there, unless it may pass."""

import logging
from collections import Counter

import pyarrow as pa

from ...lance.store import VectorStore, one_of
from ...lance.tables import BACKGROUND_IMAGES, IMAGES, OK, caption_vectors_name
from ..core.quoting import literal
from ..core.stamped_tables import forget_rows

log = logging.getLogger(__name__)

_PASSING = (
    *("connection", "dns", "http_408", "http_429", "not_found", "timeout"),
    *("robots_txt_unreachable", "unexpected", "unreadable"),
    # Where decoding ended, or could not begin: limits can be raised, plugins installed.
    *("crashed", "decode_timeout", "too_large_for_memory", "unread_format"),
)
CAN_PASS = f"status in ({', '.join(map(literal, _PASSING))}) or status like 'http_5%'"

_NOT_OF_IMAGES = (IMAGES.name, BACKGROUND_IMAGES.name, caption_vectors_name(""))


def can_pass(status: str) -> bool:
    """Whether another try may mend what ended so: a busy server, a missing file, the network."""
    return status in _PASSING or status.startswith("http_5")


def forget_vectors(store: VectorStore, sample_ids: list[str]) -> None:
    """Remove what was made of the images of samples: vectors of pictures, of tiles, boxes.

    Before an image is replaced: after a kill in between, they are made of the old one again.
    """
    for name in store.names() if sample_ids else ():
        if name.startswith(_NOT_OF_IMAGES) or "sample_id" not in store.dataset(name).schema.names:
            continue
        forget_rows(store, name, one_of(sample_ids))


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
        stored = self._stored(ids)
        kept = failed.keys() & stored.keys()
        self._kept.update(failed[sample_id] for sample_id in kept)
        new = rows.filter(pa.array(i not in kept for i in ids))
        came = zip(*map(pa.ChunkedArray.to_pylist, (new["sample_id"], new["sha256"])), strict=True)
        forget_vectors(self._store, [i for i, sha256 in came if stored.get(i, sha256) != sha256])
        self._store.replace(IMAGES, new)

    def _stored(self, sample_ids: list[str]) -> dict[str, str]:
        """The sha256 of those that have an image by now."""
        where = f"status = '{OK}' and {one_of(sample_ids)}"
        rows = self._store.reader(IMAGES.name, ["sample_id", "sha256"], where).read_all()
        return dict(zip(*map(pa.ChunkedArray.to_pylist, rows.columns), strict=True))

    def report(self) -> None:
        """Warn of images that stay though they could not be fetched again."""
        if self._kept:
            reasons = ", ".join(f"{status} {n:,}" for status, n in self._kept.most_common())
            log.warning(
                "fetch: images that could not be fetched again stay as they were: %s", reasons
            )
