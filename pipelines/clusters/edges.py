"""Pairs of vectors and their cosines: the edges of the graph of nearly identical vectors."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...lance.unit import unit_norm

Rows = npt.NDArray[np.int32]
Cosines = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]

MARGIN = 1e-5  # float32 products stray by less; within it of a threshold, float64 decides


@dataclass(frozen=True)
class Edges:
    """Pairs of rows, `first < second`, and the cosine of each."""

    first: Rows  # (m,) int32
    second: Rows  # (m,) int32
    cosine: Cosines  # (m,) float64

    def __len__(self) -> int:
        return len(self.cosine)

    def take(self, which: npt.NDArray[np.generic]) -> "Edges":
        """Those of a mask or of a list of positions."""
        return Edges(self.first[which], self.second[which], self.cosine[which])

    def renamed(self, name: Rows) -> "Edges":
        """The same pairs, row i called `name[i]`."""
        first, second = name[self.first], name[self.second]
        return Edges(np.minimum(first, second), np.maximum(first, second), self.cosine)

    def sorted(self) -> "Edges":
        """By row."""
        return self.take(np.lexsort((self.second, self.first)))


def concatenated(edges: list[Edges]) -> Edges:
    """All of them, one list after the other."""
    return Edges(
        np.concatenate([np.empty(0, np.int32), *(e.first for e in edges)]),
        np.concatenate([np.empty(0, np.int32), *(e.second for e in edges)]),
        np.concatenate([np.empty(0), *(e.cosine for e in edges)]),
    )


def renormalised(vectors: npt.NDArray[np.floating]) -> Vectors:
    """Rows of norm 1 in float32, (n, d); one of zeros becomes NaN, as one with a NaN stays."""
    return unit_norm(vectors.astype(np.float32))


def exact_cosines(vectors: Vectors, first: Rows, second: Rows) -> Cosines:
    """The float64 cosines of pairs of rows, (m,); of two identical rows, exactly 1.

    NumPy sums each row by itself and in an order that depends on its length alone, so that a pair
    has the same cosine wherever it is met.
    """
    cosine = np.empty(len(first), np.float64)
    for start in range(0, len(first), 4096):
        part = slice(start, start + 4096)
        cosine[part] = paired_cosines(vectors[first[part]], vectors[second[part]])
    return cosine


def paired_cosines(first: Vectors, second: Vectors) -> Cosines:
    """The float64 cosine of each row of the one to that of the other, (m,); (m, d) each."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    norms = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    cosine: Cosines = np.minimum((a * b).sum(axis=1) / norms, 1.0)
    return cosine
