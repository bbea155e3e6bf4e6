"""The forests of cells, found by Dask workers, and merged into one as they come.

Within a cell the search is exact, so that a pair which is found is one; a pair without a cell in
common is missed.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..gpus import gpu_of_worker
from ..in_flight import in_flight
from ..lake import Lake
from ..study import Resources
from ..workers import Workers, result_of, start_workers
from .edges import Edges, Rows, Vectors
from .forest import spanning_forest
from .growing import GrowingForest


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
            for forest in _forests(workers, resources.device, path, cells, thresholds):
                growing.add(forest)
                advance(1)
    finally:
        path.unlink()
    return growing.fold().sorted()


def _forests(
    workers: Workers,
    device: str,
    path: Path,
    cells: Sequence[Rows],
    thresholds: Sequence[float],
) -> Iterator[Edges]:
    """The forest of each cell in turn; two cells a worker are under way."""

    def submit(rows: Rows) -> Any:
        return workers.client.submit(_forest, path, rows, thresholds, device, pure=False)

    for _, future in in_flight(submit, cells, 2 * workers.number):
        yield result_of(future, "cluster", "run it where there is more memory, or with --workers 1")


def _forest(path: Path, rows: Rows, thresholds: Sequence[float], device: str) -> Edges:
    unit = np.load(path, mmap_mode="r")[rows]
    return spanning_forest(unit, thresholds, gpu=gpu_of_worker(device)).renamed(rows)
