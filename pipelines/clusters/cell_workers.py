"""The forests of cells, found by Dask workers, and merged into one as they come.

Within a cell the search is exact, so that a pair which is found is one; a pair without a cell in
common is missed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.gpus import for_products, gpu_of_worker
from ..core.lake import Lake
from ..core.study import Resources
from ..core.workers import start_workers
from .edges import Edges, Rows, Vectors
from .forest import spanning_forest
from .growing import GrowingForest

_WAY_OUT = "run it where there is more memory, or with --workers 1"


@dataclass(frozen=True)
class _Job:
    """What is the same for every cell."""

    path: Path  # of the vectors
    thresholds: Sequence[float]
    device: str


def forest_of_cells(
    lake: Lake,
    resources: Resources,
    unit: Vectors,
    cells: Sequence[Rows],
    thresholds: Sequence[float],
    advance: Callable[[int], None],
) -> Edges:
    """The maximum spanning forest of the pairs with a cell in common, sorted.

    Args:
        lake: its scratch folder holds the vectors meanwhile; workers read them there.
        resources: which workers.
        unit: (n, d) float32, each row of norm 1.
        cells: the rows of each cell, ascending.
        thresholds: see `spanning_forest`.
        advance: called with 1 after each cell.

    """
    growing = GrowingForest(len(unit), thresholds)
    path = lake.scratch / "vectors.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, unit)
    try:
        with start_workers(lake, resources) as workers:
            job = _Job(path, thresholds, resources.device)
            for _, forest in workers.results(_forest, cells, job, "cluster", _WAY_OUT):
                growing.add(forest)
                advance(1)
    finally:
        path.unlink()
    return growing.fold().sorted()


def _forest(rows: Rows, job: _Job) -> Edges:
    unit = np.load(job.path, mmap_mode="r")[rows]
    gpu = for_products(gpu_of_worker(job.device))
    return spanning_forest(unit, job.thresholds, gpu=gpu).renamed(rows)
