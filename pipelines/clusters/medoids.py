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


def find_clusters(unit: Vectors, component: Rows, min_size: int) -> Clusters:
    """The components of at least `min_size` rows, each with its medoid.

    The medoid is the member with the largest mean cosine to the others, the smallest row where
    several are equal.

    Args:
        unit: (n, d) float32, each row of norm 1.
        component: the smallest row of each row's component, (n,).
        min_size: rows of smaller components are unclustered; at least 2.

    """
    smallest, at, size = np.unique(component, return_inverse=True, return_counts=True)
    members = np.flatnonzero(size[at] >= min_size).astype(np.int32)
    members = members[np.argsort(component[members], kind="stable")]
    smallest, at, size = np.unique(component[members], return_inverse=True, return_counts=True)
    medoid = _medoids(unit, members, at, size)
    cosine = exact_cosines(unit, members, medoid[at])
    cluster, representative = np.full(len(unit), -1, np.int32), np.arange(len(unit), dtype=np.int32)
    cosine_to_medoid = np.ones(len(unit))
    cluster[members], representative[members] = smallest[at], medoid[at]
    cosine_to_medoid[members] = cosine
    mean = np.bincount(at, cosine, len(size)) / size
    least = np.ones(len(size))
    np.minimum.at(least, at, cosine)
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
