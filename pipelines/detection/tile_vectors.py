"""The CLIP vectors of the tiles of images: made once, on the workers, and read in parts."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ...lance.store import VectorStore
from ...lance.tables import GENERATED_IMAGES, VECTOR_ROWS_PER_FILE
from ..clip.model import ClipChoice
from ..clusters.edges import renormalised
from ..core.lake import Lake
from ..core.study import Study
from ..images.tiles import Scale, n_tiles
from ..replication.compared import as_matrix
from ..replication.tiles import store_tiles, tile_job
from .images import Looked
from .kept import kept_parts, missing_from

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
        name = self._name(looked)
        self._add_missing(looked, name)
        for part, rows in kept_parts(self._store, name, looked, ["vector"], _PICTURES):
            tiles = as_matrix(rows["vector"].chunk(0))  # (n, tiles * d)
            yield part, np.nan_to_num(renormalised(tiles.reshape(len(part) * N_TILES, -1)))

    def _name(self, looked: Looked) -> str:
        of = "generated_object_tiles" if looked.table is GENERATED_IMAGES else "object_tiles"
        return f"{of}-{self._choice.clip_id}"

    def _add_missing(self, looked: Looked, name: str) -> None:
        missing = missing_from(self._store, name, looked)
        if len(missing) == 0:
            return
        job = tile_job(self._study, self._store, self._choice, looked.table, looked.key, SCALES)
        store_tiles(
            self._study, self._lake, job, name, missing.ids, missing.offsets, stage="objects"
        )
        self._store.compact(name, max(1, VECTOR_ROWS_PER_FILE // N_TILES))
