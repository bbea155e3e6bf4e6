"""How many samples a second the driver of `embed` takes from its workers, checks and commits.

    python benchmarks/driver.py --samples 100000 --rows 512

The worker's model takes no time: it answers each shard with the same vectors of the image and of
the caption. So the figure is what all GPUs of a cluster may come to before the driver holds them
back. On this machine the worker takes its share of the same cores, which a cluster's does not: the
driver's own processor time is the other bound.
"""

import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import LanceTable, caption_vectors_name, image_vectors_name
from memtriggers.pipelines.clip.vectors import vector_table
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.stored_work import check_counts
from memtriggers.pipelines.core.study import Resources
from memtriggers.pipelines.core.workers import Workers, start_workers

_TABLES = (image_vectors_name("benchmark"), caption_vectors_name("benchmark"))


@cache
def make_vectors(rows: int, dimensions: int) -> NDArray[np.float32]:
    """Made once in the worker."""
    return np.random.default_rng(0).standard_normal((rows, dimensions)).astype(np.float32)


def encode(sample_ids: list[str], dimensions: int) -> list[pa.Table]:
    """What a worker returns for a shard, of a model that takes no time."""
    table = vector_table(sample_ids, make_vectors(len(sample_ids), dimensions))
    return [table for _ in _TABLES]


def make_shards(samples: int, rows: int) -> Iterator[list[str]]:
    """Sample ids, a shard at a time."""
    for first in range(0, samples, rows):
        yield [f"{number:032x}" for number in range(first, min(first + rows, samples))]


def drive(workers: Workers, store: VectorStore, samples: int, rows: int, dimensions: int) -> None:
    """What `embed` does with each shard that comes back."""
    shards = make_shards(samples, rows)
    for sample_ids, tables in workers.results(encode, shards, dimensions, "benchmark", ""):
        check_counts("{} samples", tables, [len(sample_ids)] * len(_TABLES))
        for name, table in zip(_TABLES, tables, strict=True):
            store.append(LanceTable(name, table.schema), table)


@click.command()
@click.option("--samples", default=100_000, show_default=True, help="How many samples.")
@click.option("--dimensions", default=512, show_default=True, help="Of their vectors.")
@click.option("--rows", default=512, show_default=True, help="Samples in one shard.")
def main(samples: int, dimensions: int, rows: int) -> None:
    """Time the driver alone."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder) / "lake")
        store = VectorStore(lake.vectors)
        with start_workers(lake, Resources(device="cpu")) as workers:
            drive(workers, store, rows, rows, dimensions)  # imports, and makes the tables
            started, cpu = time.perf_counter(), time.process_time()
            drive(workers, store, samples, rows, dimensions)
            passed, spent = time.perf_counter() - started, time.process_time() - cpu
    click.echo(
        f"{samples:,} samples, {len(_TABLES)} vectors of {dimensions} each, {rows:,} a shard"
    )
    click.echo(
        f"{samples / passed:,.0f} samples a second, {samples / spent:,.0f} a CPU second of it"
    )


if __name__ == "__main__":
    main()
