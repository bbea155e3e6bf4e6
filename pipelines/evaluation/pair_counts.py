"""Every pair of vectors counted by its cosine, true and false ones apart."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from ..clusters.edges import Vectors

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]
Counts = NDArray[np.int64]
Rule = Callable[[Rows, Rows], tuple[Mask, Mask]]
"""Of rows i (a,) and rows j (b,): which pairs are true, and which count at all; (a, b) each."""

BINS_PER_UNIT = 10_000  # of the cosine
_N_BINS = 2 * BINS_PER_UNIT + 1  # from -1 to 1
_SLACK = 1e-6  # a float32 product of equal vectors may fall short of 1 by so much
_BLOCK_ROWS = 1024


@dataclass(frozen=True)
class Curve:
    """How many pairs reach each threshold; the k-th threshold is k / BINS_PER_UNIT - 1."""

    reached: Counts  # (bins,) pairs whose cosine is at least the threshold
    hits: Counts  # (bins,) true ones among them

    @property
    def n_pairs(self) -> int:
        """Pairs that count."""
        return int(self.reached[0])

    @property
    def n_true(self) -> int:
        """True pairs."""
        return int(self.hits[0])

    def at(self, threshold: float) -> "Point":
        """What a threshold, a multiple of 1 / BINS_PER_UNIT, finds."""
        return self._point(round((threshold + 1) * BINS_PER_UNIT))

    def at_precision(self, precision: float) -> "Point | None":
        """The smallest threshold with at least this precision, where the recall is largest."""
        enough = np.flatnonzero((self.hits >= precision * self.reached) & (self.reached > 0))
        return self._point(int(enough[0])) if len(enough) else None

    def steps(self) -> "Steps":
        """The largest threshold of each different outcome, ascending: the curve without its flats.

        Beyond the last one no pair is left.
        """
        k = np.flatnonzero(np.diff(self.reached, append=0))
        reached, hits = self.reached[k], self.hits[k]
        threshold = np.round(k / BINS_PER_UNIT - 1, 4)
        return Steps(threshold, reached, hits, hits / reached, hits / self.n_true)

    def _point(self, k: int) -> "Point":
        reached, hits = int(self.reached[k]), int(self.hits[k])
        return Point(
            threshold=round(k / BINS_PER_UNIT - 1, 4),
            n_pairs=reached,
            n_true=hits,
            precision=hits / reached if reached else None,
            recall=hits / self.n_true,
            false_per_million=(reached - hits) / self.n_pairs * 1e6,
        )


@dataclass(frozen=True)
class Point:
    """One threshold of a curve."""

    threshold: float
    n_pairs: int
    """Pairs whose cosine is at least the threshold."""
    n_true: int
    """True pairs among them."""
    precision: float | None
    """None where no pair reaches the threshold."""
    recall: float
    false_per_million: float
    """False pairs among a million pairs of any kind: unlike a precision, the same for any n."""


@dataclass(frozen=True)
class Steps:
    """A curve as columns, (m,) each; see `Point`."""

    threshold: NDArray[np.float64]
    n_pairs: Counts
    n_true: Counts
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]


def count_pairs(
    vectors: Mapping[str, Vectors], rule: Rule, block_rows: int = _BLOCK_ROWS
) -> dict[str, Curve]:
    """The curve of each method over all pairs i < j that count, block by block.

    Args:
        vectors: by method, (n, d) float32 of unit norm, the same n for all.
        rule: says of pairs of rows which are true and which count.
        block_rows: rows of a block; it changes nothing but the memory.

    """
    n = len(next(iter(vectors.values())))
    counts = {name: np.zeros((2, _N_BINS), np.int64) for name in vectors}
    blocks = [np.arange(n)[start : start + block_rows] for start in range(0, n, block_rows)]
    for rows, columns in combinations_with_replacement(blocks, 2):
        true, counted = rule(rows, columns)
        counted = counted & (rows[:, None] < columns[None, :])
        for name, unit in vectors.items():
            bins = _bins(unit[rows] @ unit[columns].T)
            counts[name][0] += np.bincount(bins[counted], minlength=_N_BINS)
            counts[name][1] += np.bincount(bins[counted & true], minlength=_N_BINS)
    return {name: _curve(*both) for name, both in counts.items()}


def sum_curves(curves: Sequence[Curve]) -> Curve:
    """The curve of all their pairs together."""
    parts = zip(*((curve.reached, curve.hits) for curve in curves), strict=True)
    return Curve(*(np.sum(part, axis=0) for part in parts))


def nearest_share(copies: Vectors, originals: Vectors, alike: Rule) -> float:
    """The share of copies that are nearer to their original than to any picture not alike it.

    Ties count against the copy. `alike` says in its first mask which pictures are alike.
    """
    everything, n_found = np.arange(len(originals)), 0
    for start in range(0, len(copies), _BLOCK_ROWS):
        rows = everything[start : start + _BLOCK_ROWS]
        cosine = copies[rows] @ originals.T
        own = cosine[np.arange(len(rows)), rows]
        rival = (cosine >= own[:, None]) & ~alike(rows, everything)[0]
        n_found += int((~rival.any(axis=1)).sum())
    return n_found / len(copies)


def _bins(cosine: Vectors) -> NDArray[np.int32]:
    scaled = (cosine + np.float32(1 + _SLACK)) * np.float32(BINS_PER_UNIT)
    return np.asarray(np.clip(scaled, 0, _N_BINS - 1).astype(np.int32))


def _curve(all_pairs: Counts, true_pairs: Counts) -> Curve:
    return Curve(*(np.cumsum(c[::-1])[::-1] for c in (all_pairs, true_pairs)))
