"""How the search within cells grows: time, memory and recall, from 100,000 to 1,000,000 vectors.

    python benchmarks/cells.py --vectors 100000 --vectors 1000000

Each size runs in a process of its own, with one Dask worker beside it. A million vectors of 512
dimensions take 9 GB while they are made.
"""

import json
import math
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import click
import psutil  # type: ignore[import-untyped]

from memtriggers.benchmarks.cluster import THRESHOLDS, make_vectors
from memtriggers.pipelines.clusters.cell_workers import forest_of_cells
from memtriggers.pipelines.clusters.cells import nearest_cells, pair_recall, rows_of_cells
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Resources


class PeakMemory(threading.Thread):
    """The most memory of this process and those below it, shared pages counted once, in bytes."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self.start()

    def run(self) -> None:
        this = psutil.Process()
        while True:
            total = 0
            for process in (this, *this.children(recursive=True)):
                try:
                    total += process.memory_full_info().pss
                except psutil.Error:
                    continue  # it has ended
            self.peak = max(self.peak, total)
            time.sleep(0.5)


def run_one(n: int, dimensions: int) -> dict[str, Any]:
    vectors = make_vectors(n, dimensions, min(20_000, n * 3 // 70), "power-law")
    memory, started = PeakMemory(), time.perf_counter()
    nearest = nearest_cells(vectors)
    with tempfile.TemporaryDirectory() as folder:
        cells = rows_of_cells(nearest)
        forest = forest_of_cells(
            Lake(Path(folder)), Resources(), vectors, cells, THRESHOLDS, lambda cells: None
        )
    recall = pair_recall(vectors, nearest, list(THRESHOLDS))
    seconds = time.perf_counter() - started
    return {
        "vectors": n,
        "seconds": seconds,
        "gigabytes": memory.peak / 1e9,
        "edges": len(forest),
        "recall": recall,
    }


def measure(n: int, dimensions: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--run", f"--vectors={n}", f"--dimensions={dimensions}"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@click.command()
@click.option("--vectors", multiple=True, default=[100_000, 1_000_000], show_default=True)
@click.option("--dimensions", default=512, show_default=True, help="Their length.")
@click.option("--run", is_flag=True, hidden=True)
def main(vectors: tuple[int, ...], dimensions: int, run: bool) -> None:
    """Time the search within cells at several sizes."""
    if run:
        click.echo(json.dumps(run_one(vectors[0], dimensions)))
        return
    results = []
    for n in vectors:
        results.append(measure(n, dimensions))
        click.echo(
            "{vectors:>9,} vectors {seconds:7.1f} s {gigabytes:5.1f} GB, {edges:,} edges, pair "
            "recall {recall}".format(**results[-1])
        )
    first, last = results[0], results[-1]
    if first["vectors"] != last["vectors"]:
        ratio = math.log(last["seconds"] / first["seconds"])
        click.echo(f"grows as n^{ratio / math.log(last['vectors'] / first['vectors']):.2f}")


if __name__ == "__main__":
    main()
