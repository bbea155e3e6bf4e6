"""The number and sizes of clusters along all thresholds, and the one from which on they chain."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .edges import Edges
from .forest import components

STEPS = 200  # thresholds to 1 of cosine
_STRIDE = 2  # steps within which the largest cluster runs away
_FACTOR, _SHARE, _FEW = 1.5, 0.02, 10  # by so many times, by this share of all, by more than these

Counts = npt.NDArray[np.int64]


def threshold_curve(forest: Edges, n: int, thresholds: Sequence[float], min_size: int) -> pa.Table:
    """One row a multiple of 1 / STEPS from the floor up, and a threshold of `thresholds`.

    Its clusters are connected components of at least `min_size` samples, whatever the linkage. The
    suggested threshold is the lowest one above which the largest cluster nowhere runs away.

    Args:
        forest: the edges between n samples, from the smallest of `thresholds` up.
        n: samples; no rows where there are none.
        thresholds: those that clusters are computed at.
        min_size: components with fewer samples are no clusters.

    """
    grid = _grid(min(thresholds)) if n else []
    sizes = {each: _sizes(forest, n, each) for each in {*grid, *thresholds} if n}
    suggested, reason = _suggested(grid, [int(sizes[each].max()) for each in grid], n)
    rows = []
    for threshold, size in sorted(sizes.items()):
        clustered = size[size >= min_size]
        rows.append(
            {
                "threshold": threshold,
                "is_computed": threshold in thresholds,
                "n_clusters": len(clustered),
                "n_samples_clustered": int(clustered.sum()),
                "n_samples_largest": int(clustered.max(initial=0)),
                "share_clustered": float(clustered.sum()) / n,
                "share_largest": int(clustered.max(initial=0)) / n,
                "is_suggested": threshold == suggested,
                "reason": reason if threshold == suggested else None,
            }
        )
    return pa.Table.from_pylist(rows, SCHEMA)


SCHEMA = pa.schema(
    {
        "threshold": pa.float64(),
        "is_computed": pa.bool_(),
        "n_clusters": pa.int64(),
        "n_samples_clustered": pa.int64(),
        "n_samples_largest": pa.int64(),
        "share_clustered": pa.float64(),
        "share_largest": pa.float64(),
        "is_suggested": pa.bool_(),
        "reason": pa.string(),
    }
)


def _grid(floor: float) -> list[float]:
    return [step / STEPS for step in range(int(np.ceil(floor * STEPS - 1e-9)), STEPS)]


def _sizes(forest: Edges, n: int, threshold: float) -> Counts:
    _, size = np.unique(components(forest, n, threshold), return_counts=True)
    return size


def _suggested(grid: Sequence[float], largest: Sequence[int], n: int) -> tuple[float | None, str]:
    """The threshold above the highest step at which the largest cluster runs away, and why."""
    for lower in range(len(grid) - 1 - _STRIDE, -1, -1):
        upper = lower + _STRIDE
        grown = largest[lower] - largest[upper]
        if largest[lower] >= _FACTOR * largest[upper] and grown > max(_FEW, _SHARE * n):
            return grid[upper], (
                f"the largest cluster runs away below it: {largest[upper] / n:.1%} of the samples "
                f"here, {largest[lower] / n:.1%} at {grid[lower]:g}"
            )
    return (grid[0] if grid else None), "the largest cluster runs away nowhere above it"
