"""The CLIP vectors of the tiles of images: made once, on the workers, and read in parts."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ...lance.store import VectorStore
from ...lance.tables import GENERATED_IMAGES, VECTOR_ROWS_PER_FILE
from ..clip.model import ClipChoice
from ..clusters.edges import renormalised
from ..clusters.sample_ids import SampleIds, as_bytes
from ..images.tiles import Scale, n_tiles
from ..lake import Lake
from ..replication.pictures import as_matrix
from ..replication.tiles import store_tiles, tile_job
from ..study import Study
from .images import Looked

# The whole picture, halves and thirds of its sides, each half a tile from the next.
SCALES = (Scale(1, 1), Scale(2, 3), Scale(3, 5))
N_TILES = n_tiles(SCALES)

_PICTURES = 128  # read at a time: 128 × 35 tiles × 768 dimensions are 14 MB

Unit = npt.NDArray[np.float32]


class TileVectors:
    """The tiles of whatever images are asked for, by one CLIP model."""

    def __init__(self, study: Study, lake: Lake, choice: ClipChoice) -> None:
        self._study, self._lake, self._choice = study, lake, choice
        self._store = VectorStore(lake.vectors)

    def read(self, looked: Looked) -> Iterator[tuple[Looked, Unit]]:
        """A part of the images and their tiles, (n * tiles, d) of norm 1 or zero, in their order.

        Those that are not there yet are made first, each by a forward pass.
        """
        if len(looked) == 0:
            return
        name = self._name(looked)
        self._add_missing(looked, name)
        ids, offsets = self._stored(looked, name)
        order = np.argsort(ids)
        table = self._store.dataset(name)
        for part in looked.parts(_PICTURES):
            places = order[np.searchsorted(ids, as_bytes(part.ids), sorter=order)]
            rows = table.take(offsets[places], columns=["vector"])
            tiles = as_matrix(rows["vector"].combine_chunks())  # (n, tiles * d)
            yield part, np.nan_to_num(renormalised(tiles.reshape(len(part) * N_TILES, -1)))

    def _name(self, looked: Looked) -> str:
        of = "generated_object_tiles" if looked.table is GENERATED_IMAGES else "object_tiles"
        return f"{of}-{self._choice.clip_id}"

    def _add_missing(self, looked: Looked, name: str) -> None:
        ids, _ = self._stored(looked, name)
        is_missing = ~np.isin(as_bytes(looked.ids), ids)
        if not is_missing.any():
            return
        job = tile_job(self._study, self._store, self._choice, looked.table, looked.key, SCALES)
        missing = looked.take(np.flatnonzero(is_missing))
        store_tiles(
            self._study, self._lake, job, name, missing.ids, missing.offsets, stage="objects"
        )
        self._store.compact(name, max(1, VECTOR_ROWS_PER_FILE // N_TILES))

    def _stored(self, looked: Looked, name: str) -> tuple[SampleIds, npt.NDArray[np.int64]]:
        """The ids whose tiles are stored, and where."""
        if not self._store.exists(name):
            return np.empty(0, "S32"), np.empty(0, np.int64)
        rows = self._store.reader(name, [looked.key, "_rowoffset"]).read_all()
        return as_bytes(rows[looked.key]), rows["_rowoffset"].to_numpy().astype(np.int64)
