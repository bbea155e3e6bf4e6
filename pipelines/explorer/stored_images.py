"""The stored images, found by id: where they lie in their Lance table is looked up once a page."""

from collections import OrderedDict
from collections.abc import Iterable
from threading import Lock
from typing import Any

from ...lance.store import VectorStore
from ...lance.tables import GENERATED_IMAGES, IMAGES
from ..core.errors import MemtriggersError, store_errors
from ..core.lake import Lake
from ..core.quoting import literal

SAMPLE, GENERATION = "sample", "generation"
_TABLES = {SAMPLE: (IMAGES.name, "sample_id"), GENERATION: (GENERATED_IMAGES.name, "image_id")}
_REMEMBERED = 100_000  # places, a hundred bytes each
_KINDS = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png", b"RIFF": "image/webp"}

Key = tuple[str, str]  # SAMPLE or GENERATION, and the id


class StoredImages:
    """The images of a lake; may be asked by threads."""

    def __init__(self, lake: Lake) -> None:
        self._store = VectorStore(lake.vectors)
        self._lock = Lock()
        self._offsets: OrderedDict[Key, int] = OrderedDict()
        self.problem: str | None = None
        """Why images that are there could not be read, as the pages say it."""

    def find(self, kind: str, ids: Iterable[str]) -> set[str]:
        """Those of the ids that there is an image of; none where images cannot be read at all."""
        wanted = set(ids)
        with self._lock:
            unknown = [one for one in wanted if (kind, one) not in self._offsets]
        try:
            self._look_up(kind, unknown)
        except MemtriggersError as error:
            self.problem = str(error)
            return set()
        with self._lock:
            return {one for one in wanted if (kind, one) in self._offsets}

    def read(self, kind: str, picture_id: str) -> tuple[bytes, str] | None:
        """The encoded image and its media type; None where there is none.

        A compaction moves rows: one that is not where it was is looked up again.
        """
        for _ in range(2):
            if not self.find(kind, [picture_id]):
                return None
            row = self._take(kind, picture_id)
            if row is not None:
                image: bytes = row["image"]
                return image, _media_type(image)
        return None

    @store_errors()
    def _look_up(self, kind: str, ids: list[str]) -> None:
        table, key = _TABLES[kind]
        if not ids or not self._store.exists(table):
            return
        where = f"status = 'ok' and {key} in ({', '.join(map(literal, ids))})"
        for batch in self._store.reader(table, [key, "_rowoffset"], where):
            with self._lock:
                for row in batch.to_pylist():
                    self._offsets[kind, row[key]] = row["_rowoffset"]
                while len(self._offsets) > _REMEMBERED:
                    self._offsets.popitem(last=False)

    @store_errors()
    def _take(self, kind: str, picture_id: str) -> dict[str, Any] | None:
        table, key = _TABLES[kind]
        with self._lock:
            offset = self._offsets.pop((kind, picture_id))
        dataset = self._store.dataset(table)
        if offset >= dataset.count_rows():
            return None
        (row,) = dataset.take([offset], columns=[key, "image"]).to_pylist()
        if row[key] != picture_id or row["image"] is None:
            return None
        with self._lock:
            self._offsets[kind, picture_id] = offset
        found: dict[str, Any] = row
        return found


def _media_type(image: bytes) -> str:
    """By its first bytes; `fetch` and `generate` keep no other kinds."""
    for start, kind in _KINDS.items():
        if image.startswith(start):
            return kind
    return "application/octet-stream"
