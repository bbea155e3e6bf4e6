"""The caption queries past one machine: each Dask task runs the same SQL on a group of files."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import duckdb

from ..core.database import connect
from ..core.errors import MissingExtra
from ..core.lake import Lake
from ..core.study import Study
from ..core.workers import join_cluster, result_of
from ..formats.registry import format_of
from .files import find_files
from .source import open_source
from .source_file import SourceFile

T = TypeVar("T")

TASKS_PER_WORKER = 4  # more would even out slow files, and leave more partial counts to merge


def run_on_workers(study: Study, task: Callable[[Study], T]) -> Iterator[T]:
    """Run a task for each group of the study's files on the workers of a Dask cluster.

    Args:
        study: whose files are divided, and whose resources name the cluster. Its workers see the
            files under the same names and have this package installed.
        task: takes the study of one group of files; pure, as it may run twice.

    Returns:
        What the tasks return, as they finish.

    Raises:
        MissingExtra: Dask is not installed.
        StageError: nobody answers at the scheduler's address, or it has no workers.

    """
    try:
        from distributed import as_completed
    except ModuleNotFoundError:
        raise MissingExtra(
            "--scheduler needs the package distributed; install: pip install 'memtriggers[embed]'"
        ) from None
    with join_cluster(study.resources) as workers:
        client, n_tasks = workers.client, TASKS_PER_WORKER * workers.number
        futures = client.map(task, _divide(study, n_tasks), pure=False)
        for future in as_completed(futures):
            yield result_of(future, "--scheduler", "split the parquet into smaller files")
            future.release()


def _divide(study: Study, n_groups: int) -> list[Study]:
    files = find_files(study)
    if any(format_of(file).name == "folder" for file in files):
        return [study]  # named alone, a folder would be read with those below it
    groups = [tuple(files[start::n_groups]) for start in range(min(n_groups, len(files)))]
    return [replace(study, data=replace(study.data, rows=group)) for group in groups]


@contextmanager
def open_shard(
    study: Study,
) -> Iterator[tuple[duckdb.DuckDBPyConnection, Lake, list[SourceFile]]]:
    """In a worker: a connection with the view `source` over the study's files, and its lake."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        with connect(lake) as connection:
            yield connection, lake, open_source(connection, study, lake)
