"""The caption queries past one machine: each Dask task runs the same SQL on a group of files."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import duckdb

from ..database import connect
from ..errors import MissingExtra
from ..lake import Lake
from ..study import Study
from .source import find_files, open_source

T = TypeVar("T")

TASKS_PER_WORKER = 4  # more would even out slow files, and leave more partial counts to merge


def run_on_workers(scheduler: str, study: Study, task: Callable[[Study], T]) -> Iterator[T]:
    """Run a task for each group of the study's files on the workers of a Dask cluster.

    Args:
        scheduler: its address, such as `tcp://10.0.0.1:8786`. Workers see the files under the same
            names and have this package installed.
        study: whose files are divided.
        task: takes the study of one group of files; pure, as it may run twice.

    Returns:
        What the tasks return, as they finish.

    Raises:
        MissingExtra: Dask is not installed.

    """
    try:
        from distributed import Client, as_completed
    except ModuleNotFoundError:
        raise MissingExtra(
            "--scheduler needs the package distributed; install: pip install 'memtriggers[embed]'"
        ) from None
    with Client(scheduler) as client:
        n_tasks = TASKS_PER_WORKER * max(1, len(client.nthreads()))
        futures = client.map(task, _divide(study, n_tasks), pure=False)
        for future in as_completed(futures):
            yield future.result()
            future.release()


def _divide(study: Study, n_groups: int) -> list[Study]:
    files = find_files(study)
    groups = [tuple(files[start::n_groups]) for start in range(min(n_groups, len(files)))]
    return [replace(study, data=replace(study.data, parquet=group)) for group in groups]


@contextmanager
def open_shard(study: Study) -> Iterator[duckdb.DuckDBPyConnection]:
    """In a worker: a connection with the view `source` over the study's files."""
    with tempfile.TemporaryDirectory() as folder, connect(Lake(Path(folder))) as connection:
        open_source(connection, study)
        yield connection
