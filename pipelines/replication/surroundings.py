"""Carlini's adaptive distance: that to a training image, relative to how near any others are.

An absolute distance of pixels says little where pictures are alike: half of all clip art lies
within what separates two photographs. N. Carlini et al., "Extracting Training Data from Diffusion
Models" (2023), section 5.1, with α = 0.5.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..clusters.edges import Rows
from .compared import IMAGE, Compared, Stored, Which
from .pixels import SIDE, Distances, Pixels, read_pixels

RELATIVE = "l2_relative"
COPY = 0.5  # α: a copy is at most half as far as its surroundings
_N_NEAREST = 50
_N_PICTURES = 5_000  # training images that surroundings are looked for among: 31 MB
# Fine detail is what an autoencoder loses. Of small clip art redrawn by one, 97 % of pictures lie
# within 0.5 of their originals at 16 pixels a side, and 83 % at 32.
THUMBNAIL = 16  # pixels a side
_BOX = SIDE // THUMBNAIL
_FULL = 255.0 * _BOX**2
_DECODED = 64  # pictures at once: 13 MB

Thumbnails = npt.NDArray[np.float64]  # (n, 16 * 16 * 3), sums of boxes: whole numbers


@dataclass(frozen=True)
class Surrounded:
    """n pictures, and how far from them all is that may surround them, whatever the cluster."""

    thumbnails: Thumbnails  # (n, 768)
    rows: Rows  # (m,) of the training images
    around: Distances  # (n, m), infinite for the picture itself

    def take(self, which: Which) -> "Surrounded":
        """Those of a mask or of a list of positions."""
        return Surrounded(self.thumbnails[which], self.rows, self.around[which])


@dataclass(frozen=True)
class Surroundings:
    """Some training images, one of each cluster, as thumbnails."""

    rows: Rows  # (m,) of the training images, ascending
    thumbnails: Thumbnails  # (m, 768)

    @cached_property
    def squares(self) -> Distances:
        """The sum of squares of each thumbnail, (m,): pictures come in many batches."""
        return _squares(self.thumbnails)

    def without(self, members: Rows) -> "Surroundings":
        """Those of a cluster: the images that are not in it."""
        is_other = ~np.isin(self.rows, members)
        return Surroundings(self.rows[is_other], self.thumbnails[is_other])

    def surround(self, pixels: Pixels) -> Surrounded:
        """How far these are from each of n pictures, to be compared with many clusters."""
        drawn = as_thumbnails(pixels)
        around = _distances(drawn, self.thumbnails, self.squares)
        around[around == 0] = np.inf
        return Surrounded(drawn, self.rows, around)

    def relative(self, pictures: Surrounded, references: Thumbnails) -> Distances:
        """How far each of n pictures is from each of r references, (n, r).

        Relative to the mean distance to the 50 nearest images, the picture itself being none of
        them; infinite where there are none.

        Args:
            pictures: surrounded by these, or by more.
            references: (r, 768).

        """
        around = pictures.around[:, np.isin(pictures.rows, self.rows)]
        nearest = np.sort(around, axis=1)[:, :_N_NEAREST]
        is_there = np.isfinite(nearest)
        total, n = np.where(is_there, nearest, 0).sum(axis=1), is_there.sum(axis=1)
        mean = np.divide(total, n, out=np.zeros(len(around)), where=n > 0)[:, None]
        distance = _distances(pictures.thumbnails, references, _squares(references))
        relative: Distances = np.full(distance.shape, np.inf)
        np.divide(distance, mean, out=relative, where=mean > 0)
        return relative


def surround_stored(stored: Stored, surroundings: Surroundings) -> Surrounded:
    """n stored pictures, a few decoded at a time."""
    parts = [
        surroundings.surround(read_pixels(stored.read(part).to_pylist()))
        for part in _parts(len(stored.offsets))
    ]
    return Surrounded(
        np.concatenate([part.thumbnails for part in parts]),
        surroundings.rows,
        np.concatenate([part.around for part in parts]),
    )


def find_surroundings(pictures: Compared, cluster: Rows) -> Surroundings:
    """Decode the first images that are not in a cluster, or the first of theirs.

    Args:
        pictures: the training images, by sample_id: hashes, so that the first ones are any ones.
        cluster: (n,) the first row of each one's cluster, or -1.

    """
    is_first = (cluster < 0) | (cluster == np.arange(len(cluster)))
    is_first &= pictures.stored[IMAGE].offsets >= 0
    rows = np.flatnonzero(is_first)[:_N_PICTURES].astype(np.int32)
    stored = pictures.stored[IMAGE].take(rows)
    thumbnails = [
        as_thumbnails(read_pixels(stored.read(part).to_pylist())) for part in _parts(len(rows))
    ]
    empty = np.zeros((0, THUMBNAIL**2 * 3))
    return Surroundings(rows, np.concatenate([empty, *thumbnails]))


def _parts(n: int) -> list[slice]:
    return [slice(start, start + _DECODED) for start in range(0, n, _DECODED)]


def as_thumbnails(pixels: Pixels) -> Thumbnails:
    """The sum of each box of 16 × 16 pixels, in each colour."""
    n = len(pixels)
    # Rows first: adding up what lies side by side is several times as fast.
    rows = pixels.reshape(n, THUMBNAIL, _BOX, -1).sum(axis=2, dtype=np.uint32)
    boxes = rows.reshape(n, THUMBNAIL, THUMBNAIL, _BOX, 3).sum(axis=3, dtype=np.uint32)
    sums: Thumbnails = boxes.reshape(n, -1).astype(np.float64)
    return sums


def _squares(thumbnails: Thumbnails) -> Distances:
    squares: Distances = np.einsum("nd,nd->n", thumbnails, thumbnails)
    return squares


def _distances(a: Thumbnails, b: Thumbnails, b_squares: Distances) -> Distances:
    """The root of the mean squared difference of values of 0 to 1, (n, m); exact as in pixels."""
    squares = _squares(a)[:, None] + b_squares - 2 * a @ b.T
    distance: Distances = np.sqrt(squares / a.shape[1]) / _FULL
    return distance
