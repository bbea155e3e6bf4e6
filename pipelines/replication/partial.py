"""Partial copies: the tile of a generation that comes nearest to a tile of a training image."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..clusters.edges import Rows, Vectors, renormalised
from ..images.tiles import Scale, n_tiles
from .compared import Compared, as_matrix
from .matches import Matches, best_cosines
from .references import MEDOID, REPRESENTATIVES, Target

GRID = 3  # tiles a side, each half as wide and high as the picture, so that neighbours overlap
SCALES = (Scale(parts=2, grid=GRID),)
N_TILES = n_tiles(SCALES)

_NO_CONTENT = 0.0  # the cosine of a tile that shows nothing


@dataclass(frozen=True)
class TiledReferences:
    """The tiles of the representatives of a cluster, those that are stored, at least one."""

    metric: str
    rows: Rows  # (r,) of the training images
    tiles: Vectors  # (r * 9, d), zeros for one that shows nothing
    is_medoid: npt.NDArray[np.bool_]  # (r,)

    def score(self, pictures: Compared) -> dict[tuple[str, str], Matches]:
        """By metric and reference, the largest cosine of a tile of each picture to one of theirs.

        Any tile may match any other: what is copied need not stay in its place. A tile of a single
        colour would match every sky and every border; its cosine is 0.
        """
        tiles = read_tiles(pictures.stored[self.metric].read())  # (n * 9, d)
        found = {(self.metric, REPRESENTATIVES): self._best(tiles, np.arange(len(self.rows)))}
        if self.is_medoid.any():
            found[self.metric, MEDOID] = self._best(tiles, np.flatnonzero(self.is_medoid))
        return found

    def _best(self, tiles: Vectors, among: npt.NDArray[np.int64]) -> Matches:
        """The best of the references `among`; the first one where no tile shows anything."""
        theirs = (among[:, None] * N_TILES + np.arange(N_TILES)).ravel().astype(np.int32)
        theirs = theirs[self.tiles[theirs].any(axis=1)]
        score = np.full(len(tiles), _NO_CONTENT)
        nearest = np.full(len(tiles), self.rows[among[0]], np.int32)
        shows = tiles.any(axis=1)
        if len(theirs) and shows.any():
            found = best_cosines(tiles[shows], self.tiles, theirs)
            score[shows], nearest[shows] = found.score, self.rows[found.row // N_TILES]
        by_picture = score.reshape(-1, N_TILES)  # (n, 9)
        chosen = np.arange(len(by_picture)) * N_TILES + by_picture.argmax(axis=1)
        return Matches(score[chosen], nearest[chosen])


def load_tiles(metric: str, training: Compared, target: Target) -> TiledReferences | None:
    """The tiles of the representatives of a cluster; None where none are stored."""
    rows = target.references[REPRESENTATIVES]
    rows = rows[training.stored[metric].offsets[rows] >= 0]
    if len(rows) == 0:
        return None
    tiles = read_tiles(training.stored[metric].take(rows).read())
    return TiledReferences(metric, rows, tiles, rows == target.references[MEDOID])


def read_tiles(stored: pa.FixedSizeListArray) -> Vectors:
    """Of n pictures the vectors of their 9 tiles, (n * 9, d) of norm 1 or zero."""
    flat = as_matrix(stored)
    return np.nan_to_num(renormalised(flat.reshape(len(flat) * N_TILES, -1)))
