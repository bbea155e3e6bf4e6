"""What a component is as a cluster: its size, its medoid, and how close its members are to it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .edges import Cosines, Rows, Vectors, exact_cosines

Counts = npt.NDArray[np.int64]

_TIE = 1e-9  # means that differ by less differ by rounding
_PART = 8192  # members in float64 at once: 32 MB of 512 dimensions


@dataclass(frozen=True)
class Clusters:
    """The clusters at one threshold, by their smallest row; and where each row is."""

    smallest: Rows  # (k,) the smallest row of each cluster
    size: Counts  # (k,)
    medoid: Rows  # (k,)
    cosine_mean: Cosines  # (k,) of the members to the medoid, itself included
    cosine_min: Cosines  # (k,)
    cluster: Rows  # (n,) the smallest row of each row's cluster, -1: unclustered
    representative: Rows  # (n,) the medoid of its cluster, or the row itself
    cosine_to_medoid: Cosines  # (n,), 1 where unclustered


def find_clusters(
    unit: Vectors, component: Rows, min_size: int, reach: float = -np.inf
) -> Clusters:
    """The components of at least `min_size` rows, each with its medoid.

    The medoid is the member with the largest mean cosine to the others, the smallest row where
    several are equal. Members whose cosine to it is below `reach` are split off together: they are
    what is left of the component, with a medoid of its own, and so on until nothing is left, in as
    many rounds over the vectors as the component with the most pieces has of them.

    Args:
        unit: (n, d) float32, each row of norm 1.
        component: the smallest row of each row's component, (n,).
        min_size: rows of smaller components, or of smaller pieces of one, are unclustered; at
            least 2.
        reach: the smallest cosine of a member to its medoid.

    """
    left = np.argsort(component, kind="stable").astype(np.int32)
    cluster, representative = np.full(len(unit), -1, np.int32), np.arange(len(unit), dtype=np.int32)
    cosine_to_medoid = np.ones(len(unit))
    while len(left := _large(left, component, min_size)):
        _, at, size = np.unique(component[left], return_inverse=True, return_counts=True)
        medoid = _medoids(unit, left, at, size)[at]
        cosine = exact_cosines(unit, left, medoid)
        near = cosine >= reach
        members = _large(left[near], component, min_size)
        kept = np.isin(left, members)
        _, first, at = np.unique(component[members], return_index=True, return_inverse=True)
        cluster[members] = members[first][at]
        representative[members], cosine_to_medoid[members] = medoid[kept], cosine[kept]
        left = left[~near]
    return _described(cluster, representative, cosine_to_medoid)


def _large(rows: Rows, component: Rows, min_size: int) -> Rows:
    """Those of the rows, in order, of which at least `min_size` are of the same component."""
    _, at, size = np.unique(component[rows], return_inverse=True, return_counts=True)
    return rows[size[at] >= min_size]


def _described(cluster: Rows, representative: Rows, cosine_to_medoid: Cosines) -> Clusters:
    members = np.flatnonzero(cluster >= 0)
    smallest, at, size = np.unique(cluster[members], return_inverse=True, return_counts=True)
    cosine = cosine_to_medoid[members]
    mean = np.bincount(at, cosine, len(size)) / size
    least = np.ones(len(size))
    np.minimum.at(least, at, cosine)
    medoid = representative[smallest]
    return Clusters(smallest, size, medoid, mean, least, cluster, representative, cosine_to_medoid)


def _medoids(unit: Vectors, members: Rows, at: Counts, size: Counts) -> Rows:
    """The medoid of each cluster; `at` is the position of each member's cluster, ascending."""
    # The sum of a member's cosines to all members is its product with the sum of their vectors.
    sums = np.zeros((len(size), unit.shape[1]))
    for part, vectors in _parts(unit, members):
        here, starts = np.unique(at[part], return_index=True)
        sums[here] += np.add.reduceat(vectors, starts, axis=0)
    mean = np.empty(len(members))  # cosine to the others
    for part, vectors in _parts(unit, members):
        to_all = (vectors * sums[at[part]]).sum(axis=1)
        mean[part] = (to_all - 1) / (size[at[part]] - 1)
    best = np.full(len(size), -np.inf)
    np.maximum.at(best, at, mean)
    candidates = np.flatnonzero(mean >= best[at] - _TIE)
    _, first = np.unique(at[candidates], return_index=True)
    return members[candidates[first]]


def _parts(unit: Vectors, members: Rows) -> Iterator[tuple[slice, npt.NDArray[np.float64]]]:
    """The members' vectors in float64, of norm 1 in it, some at a time."""
    for start in range(0, len(members), _PART):
        part = slice(start, start + _PART)
        vectors = unit[members[part]].astype(np.float64)
        yield part, vectors / np.sqrt((vectors * vectors).sum(axis=1, keepdims=True))
