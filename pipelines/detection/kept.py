"""What was made of images once and is kept: a row an image in a table of the store, found by id."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...lance.store import VectorStore
from ..clusters.sample_ids import SampleIds, as_bytes
from .images import Looked


def missing_from(store: VectorStore, name: str, looked: Looked) -> Looked:
    """The images that have no row in a table yet."""
    ids, _ = _find(store, name, looked)
    return looked.take(np.flatnonzero(~np.isin(as_bytes(looked.ids), ids)))


def kept_parts(
    store: VectorStore, name: str, looked: Looked, columns: list[str], size: int
) -> Iterator[tuple[Looked, pa.Table]]:
    """At most `size` of the images at a time and their rows, in their order; each has one."""
    ids, offsets = _find(store, name, looked)
    order = np.argsort(ids)
    for part in looked.parts(size):
        places = order[np.searchsorted(ids, as_bytes(part.ids), sorter=order)]
        yield part, store.dataset(name).take(offsets[places], columns=columns).combine_chunks()


def _find(store: VectorStore, name: str, looked: Looked) -> tuple[SampleIds, npt.NDArray[np.int64]]:
    """The ids that have a row, and where it is."""
    if not store.exists(name):
        return np.empty(0, "S32"), np.empty(0, np.int64)
    rows = store.reader(name, [looked.key, "_rowoffset"]).read_all()
    return as_bytes(rows[looked.key]), rows["_rowoffset"].to_numpy().astype(np.int64)
