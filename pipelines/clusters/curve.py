"""The number and sizes of clusters along all thresholds, and the one from which on they chain."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ..core.registry import TABLES
from .edges import Edges
from .forest import components

STEPS = 200  # thresholds in 1 of cosine
SCHEMA = TABLES["cluster_thresholds"].schema


def threshold_curve(forest: Edges, n: int, thresholds: Sequence[float], min_size: int) -> pa.Table:
    """One row a multiple of 1 / STEPS from the floor up, and a threshold of `thresholds`.

    Its clusters are connected components of at least `min_size` samples, whatever the linkage.
    Suggested is the threshold with the most clusters, the highest of several: below it more
    clusters are joined to others than appear, which is where chains begin.

    Args:
        forest: the edges between n samples, from the smallest of `thresholds` up.
        n: samples; no rows where there are none.
        thresholds: those that clusters are computed at.
        min_size: components with fewer samples are no clusters.

    """
    if n == 0:
        return SCHEMA.empty_table()
    first_step = int(np.ceil(min(thresholds) * STEPS - 1e-9))
    along = sorted({*thresholds, *(step / STEPS for step in range(first_step, STEPS))})
    rows = [
        {"is_computed": each in thresholds} | _counts(forest, n, each, min_size) for each in along
    ]
    suggested = max(rows, key=lambda row: (row["n_clusters"], row["threshold"]))
    for row in rows:
        row["is_suggested"] = row is suggested and row["n_clusters"] > 0
        row["reason"] = _reason(suggested, rows[0]) if row["is_suggested"] else None
    return pa.Table.from_pylist(rows, SCHEMA)


def _counts(forest: Edges, n: int, threshold: float, min_size: int) -> dict[str, Any]:
    _, size = np.unique(components(forest, n, threshold), return_counts=True)
    size = size[size >= min_size]
    clustered, largest = int(size.sum()), int(size.max(initial=0))
    return {
        "threshold": threshold,
        "n_clusters": len(size),
        "n_samples_clustered": clustered,
        "n_samples_largest": largest,
        "share_clustered": clustered / n,
        "share_largest": largest / n,
    }


def _reason(suggested: dict[str, Any], lowest: dict[str, Any]) -> str:
    most = f"clusters are most there, {suggested['n_clusters']:,}"
    if suggested is lowest:
        return f"{most}; it is the lowest threshold that was looked at, and a lower one may do"
    return (
        f"{most}: below it more are joined to others than appear, and the largest grows from "
        f"{suggested['share_largest']:.1%} of the samples to {lowest['share_largest']:.1%} at "
        f"{lowest['threshold']:g}"
    )
