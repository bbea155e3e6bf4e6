"""The reference that is nearest to each generation, by the cosine of their vectors."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...lance.unit import unit_norm
from ..clusters.edges import Rows, Vectors, paired_cosines

_BLOCK = 4096  # references in float64 at once: 25 MB of 768 dimensions
_TIE = 1e-9  # cosines that differ by less differ by rounding


@dataclass(frozen=True)
class Matches:
    """The best reference of each of n generations."""

    score: npt.NDArray[np.float64]  # (n,)
    row: Rows  # (n,) its row among the training images

    def take(self, which: npt.NDArray[np.generic]) -> "Matches":
        """Those of a mask or of a list of positions."""
        return Matches(self.score[which], self.row[which])


def best_cosines(generated: Vectors, unit: Vectors, references: Rows) -> Matches:
    """The reference with the largest cosine to each generation, the first where several have it.

    References pass by in blocks, so that a cluster of any size takes the same memory; the order of
    the generations and their number at once change nothing. An exact copy has a cosine of 1.

    Args:
        generated: (n, d) float32.
        unit: the vectors of the training images, (m, d) float32 of norm 1.
        references: rows of `unit`, ascending, at least one.

    """
    wide = unit_norm(generated.astype(np.float64))
    best, row = np.full(len(wide), -np.inf), np.zeros(len(wide), np.int32)
    for start in range(0, len(references), _BLOCK):
        block = references[start : start + _BLOCK]
        cosine = wide @ unit_norm(unit[block].astype(np.float64)).T  # (n, block)
        first = (cosine >= cosine.max(axis=1, keepdims=True) - _TIE).argmax(axis=1)
        found = np.take_along_axis(cosine, first[:, None], axis=1)[:, 0]
        is_better = found > best + _TIE
        best[is_better], row[is_better] = found[is_better], block[first[is_better]]
    return Matches(paired_cosines(generated, unit[row]), row)
