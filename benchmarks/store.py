"""Whether the vector store stays as fast and as small as it grows: appends, as embed makes them.

    python benchmarks/store.py --vectors 1000000 --rows 512

Each append is one shard and one transaction, of rows that an anti-join has let through. The time of
the first appends is set beside that of the last, with the memory of this process. `--fragments`
writes each shard as a file first and commits only what describes it, as a worker and the driver
would do if vectors did not pass through the driver.
"""

import statistics
import tempfile
import time
from pathlib import Path

import click
import lance
import numpy as np
import pyarrow as pa

from memtriggers.benchmarks.memory import peak_megabytes
from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import VECTOR_ROWS_PER_FILE, LanceTable, image_vectors

_TENTHS = 10


def make_shard(table: LanceTable, first: int, vectors: pa.FixedSizeListArray) -> pa.Table:
    """Rows with these vectors, and ids that count from `first`."""
    rows = len(vectors)
    ids = [f"{number:032x}" for number in range(first, first + rows)]
    columns = {"sample_id": ids, "vector": vectors, "status": ["ok"] * rows}
    return pa.table(columns, schema=table.schema)


def commit_fragments(store: VectorStore, table: LanceTable, rows: pa.Table) -> tuple[float, float]:
    """Seconds of writing a file of rows, and of committing what describes it."""
    path, started = str(store.path(table.name)), time.perf_counter()
    fragments = lance.fragment.write_fragments(rows, path, mode="append")
    written = time.perf_counter()
    version = store.version(table.name)
    lance.LanceDataset.commit(path, lance.LanceOperation.Append(fragments), read_version=version)
    return written - started, time.perf_counter() - written


def append(store: VectorStore, table: LanceTable, rows: pa.Table) -> tuple[float, float]:
    """Seconds of an append, all of them the driver's."""
    started = time.perf_counter()
    store.append(table, rows)
    return 0.0, time.perf_counter() - started


@click.command()
@click.option("--vectors", default=1_000_000, show_default=True, help="How many vectors.")
@click.option("--dimensions", default=512, show_default=True, help="Their length.")
@click.option("--rows", default=512, show_default=True, help="Vectors in one append.")
@click.option("--fragments", is_flag=True, help="Write files first, commit what describes them.")
def main(vectors: int, dimensions: int, rows: int, fragments: bool) -> None:
    """Append until there are so many vectors."""
    values = np.random.default_rng(0).standard_normal((rows, dimensions))
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    shard = pa.FixedSizeListArray.from_arrays(values.astype(np.float16).ravel(), dimensions)
    table, seconds = image_vectors("benchmark", dimensions), []
    commit = commit_fragments if fragments else append
    with tempfile.TemporaryDirectory() as folder:
        store = VectorStore(Path(folder))
        store.create(table)
        for first in range(0, vectors, rows):
            seconds.append(commit(store, table, make_shard(table, first, shard)))
        started = time.perf_counter()
        store.compact(table.name, VECTOR_ROWS_PER_FILE)
        compaction = time.perf_counter() - started
        n_stored = store.count(table.name)
        wanted = values[0].astype(np.float32)
        store.nearest(table.name, wanted, 10)  # the first one imports LanceDB
        started = time.perf_counter()
        store.nearest(table.name, wanted, 10)
        search = time.perf_counter() - started
    driver = [commit for _, commit in seconds]
    tenth = max(1, len(driver) // _TENTHS)
    first_ms, last_ms = (1e3 * statistics.median(p) for p in (driver[:tenth], driver[-tenth:]))
    click.echo(f"{n_stored:,} × {dimensions} float16 in {len(driver):,} transactions of {rows:,}")
    click.echo(f"the driver's part of one: {first_ms:.1f} ms at first, {last_ms:.1f} ms at last")
    click.echo(f"the driver commits {n_stored / sum(driver):,.0f} vectors a second")
    if fragments:
        written = sum(written for written, _ in seconds)
        click.echo(f"a worker writes {n_stored / written:,.0f} vectors a second")
    click.echo(f"compaction at the end: {compaction:.1f} s; peak memory {peak_megabytes():,.0f} MB")
    click.echo(f"the nearest 10 without an index: {search:.2f} s")


if __name__ == "__main__":
    main()
