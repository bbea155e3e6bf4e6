"""The cells of the space that vectors lie in, so that not all of their pairs need be looked at.

The cells are those of k-means on a sample, and a vector lies in its few nearest. What share of the
pairs has a cell in common is measured on a sample of rows.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ...lance.unit import unit_norm
from .edges import Rows, Vectors

EXACT_ROWS = 200_000  # all pairs of so many take a minute or two on two cores
ROWS_A_CELL = 4000
CELLS_A_ROW = 2
SAMPLED_A_CELL = 64
_ITERATIONS = 10
_PART = 8192  # rows whose products with the centres are there at once
_RECALL_ROWS = 512  # rows whose pairs are looked for among all
_RECALL_PART = 100_000


def nearest_cells(unit: Vectors) -> Rows:
    """The cells that each vector lies in, (n, at most CELLS_A_ROW), numbered from 0."""
    a_row = min(len(unit), CELLS_A_ROW)
    nearest = np.empty((len(unit), a_row), np.int32)
    if not a_row:
        return nearest
    centres = _find_centres(unit, max(a_row, len(unit) // ROWS_A_CELL))
    for start in range(0, len(unit), _PART):
        part = slice(start, start + _PART)
        nearest[part] = np.argpartition(-(unit[part] @ centres.T), a_row - 1, axis=1)[:, :a_row]
    return nearest


def rows_of_cells(nearest: Rows) -> list[Rows]:
    """The rows that lie in each cell, ascending; cells without a pair are left out."""
    by_cell = np.argsort(nearest.ravel(), kind="stable")
    starts = np.flatnonzero(np.diff(nearest.ravel()[by_cell])) + 1
    rows = (by_cell // nearest.shape[1]).astype(np.int32)
    return [cell for cell in np.split(rows, starts) if len(cell) > 1]


def pair_recall(unit: Vectors, nearest: Rows, thresholds: Sequence[float]) -> dict[float, float]:
    """The share of the pairs at each threshold that have a cell in common.

    Measured on every pair of some random rows; 1 where these have none.
    """
    rows = np.random.default_rng(0).permutation(len(unit))[:_RECALL_ROWS]
    n_pairs, n_found = np.zeros(len(thresholds)), np.zeros(len(thresholds))
    for start in range(0, len(unit), _RECALL_PART):
        products = unit[rows] @ unit[start : start + _RECALL_PART].T
        row, column = np.nonzero(products >= min(thresholds))
        cosine, first, second = products[row, column], rows[row], start + column
        found = _share_a_cell(nearest[first], nearest[second])
        for i, threshold in enumerate(thresholds):
            pairs = (cosine >= threshold) & (first != second)
            n_pairs[i] += pairs.sum()
            n_found[i] += (pairs & found).sum()
    recall = np.where(n_pairs, n_found / np.maximum(n_pairs, 1), 1)
    return dict(zip(thresholds, recall.tolist(), strict=True))


def _share_a_cell(a: Rows, b: Rows) -> npt.NDArray[np.bool_]:
    shared = np.zeros(len(a), bool)
    for cell in a.T:
        shared |= (b == cell[:, None]).any(axis=1)
    return shared


def _find_centres(unit: Vectors, number: int) -> Vectors:
    """Centres of norm 1, (number, d), by k-means on a sample: those of the largest product."""
    random = np.random.default_rng(0)
    sample = unit[random.permutation(len(unit))[: number * SAMPLED_A_CELL]]
    centres = sample[:number].copy()
    for _ in range(_ITERATIONS):
        nearest = (sample @ centres.T).argmax(axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, sample)
        scaled = unit_norm(sums)
        centres = np.where(np.isfinite(scaled), scaled, centres)
    return centres
