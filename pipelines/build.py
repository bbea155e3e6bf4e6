"""Builds the tables that users query: dbt on a new DuckDB file, published only when it is whole."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import duckdb

from .clip.thresholds import resolve_thresholds
from .core.database import count_rows
from .core.lake import Lake
from .core.runs import Counts
from .core.stamp import Stamp, parse_stamp
from .core.study import Study
from .warehouse.dbt_run import MODELS, DbtRun
from .warehouse.declare import declare_tables
from .warehouse.previous import export_previous, keep_for_next, published
from .warehouse.publish import publish
from .warehouse.risk_fit import insert_risk_fit
from .warehouse.tested import keep_tests

_BUILD_NAME = re.compile(r"(\d{8}T\d{6}Z)-([0-9a-f]{16})\.duckdb")


def run(study: Study, lake: Lake, stamp: Stamp) -> Counts:
    """Export, build, test and publish; a failure leaves the last build in place.

    Raises:
        BuildError: a table of the lake, a model or a test is at fault.
        StudyError: the file of `[risk] fit` is no fit.
        MissingExtra: there are Lance tables but no package to read them.

    """
    from .warehouse.exports import export_tables

    lake = Lake(lake.root.absolute())  # dbt runs in another folder
    keep_tests(lake, [])  # those of the build before are not of this one, wherever it ends
    export_tables(study, lake)
    previous = export_previous(lake, stamp)
    now = datetime.now(UTC)
    build = f"{now:%Y%m%dT%H%M%SZ}-{stamp.digest}"
    with _workspace(lake, build) as folder:
        dbt = _dbt(study, lake, folder)
        info = _build_info(build, now, stamp, previous)
        n_samples = _declare(dbt.database, study, lake, info)
        try:
            dbt.build()
        finally:
            keep_tests(lake, dbt.results())
        n_published = _finish(dbt.database, lake.builds / build, stamp, previous)
        publish(lake, dbt.database, build)
    return Counts(n_samples, n_published)


def recorded(lake: Lake) -> tuple[Stamp, str] | None:
    """The stamp in the published file, and the digest in its name; None when there is none.

    A file that cannot be read counts as none: the next build replaces it.
    """
    name = _BUILD_NAME.fullmatch(lake.current.resolve().name)
    if name is None or not lake.current.exists():
        return None
    stamp = _published_stamp(lake)
    return None if stamp is None else (stamp, name[2])


def _published_stamp(lake: Lake) -> Stamp | None:
    try:
        with duckdb.connect(str(lake.current), read_only=True) as connection:
            row = connection.execute("select stamp from build_info").fetchone()
    except duckdb.Error as error:
        # A shell that opened it for writing: the file is whole, and says so beside it, too.
        kept = published(lake) if "lock" in str(error) else None
        return None if kept is None else kept.stamp
    return parse_stamp(row[0] if row else None)


def write_docs(study: Study, lake: Lake) -> Path:
    """Write the documentation of the tables, with their lineage, as one page; returns its file."""
    lake = Lake(lake.root.absolute())
    with _workspace(lake, "docs") as folder:
        page = _dbt(study, lake, folder).docs()
        lake.docs.parent.mkdir(exist_ok=True)
        return page.replace(lake.docs)


def published_at(lake: Lake) -> datetime | None:
    """When the published build was begun, in UTC; None when nothing is published."""
    name = _BUILD_NAME.fullmatch(lake.current.resolve().name)
    return name and datetime.strptime(f"{name[1]}+0000", "%Y%m%dT%H%M%SZ%z")


@contextmanager
def _workspace(lake: Lake, build: str) -> Iterator[Path]:
    """A folder for everything that is unfinished; what a killed build left there goes first."""
    for leftover in lake.scratch.glob("build-*"):
        shutil.rmtree(leftover)
    folder = lake.scratch / f"build-{build}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _dbt(study: Study, lake: Lake, folder: Path) -> DbtRun:
    variables = {
        "min_cluster_size": study.cluster.min_cluster_size,
        "report_threshold": resolve_thresholds(study, lake).report,
    }
    return DbtRun(MODELS, folder, variables)


def _build_info(
    build: str, now: datetime, stamp: Stamp, previous: str | None
) -> tuple[object, ...]:
    """The row that a build writes about itself, in the order of the table build_info."""
    versions = [metadata.version(name) for name in ("memtriggers", "duckdb", "dbt-duckdb")]
    return build, now.replace(tzinfo=None), stamp.text, *versions, previous


def _declare(database: Path, study: Study, lake: Lake, info: tuple[object, ...]) -> int:
    """Make the schema `lake`, which dbt reads; returns the number of samples in it."""
    with duckdb.connect(str(database)) as connection:
        declare_tables(connection, lake)
        connection.execute("insert into lake.build_info values (?, ?, ?, ?, ?, ?, ?)", info)
        for own in resolve_thresholds(study, lake).by_keyword_set.items():
            connection.execute("insert into lake.keyword_set_thresholds values (?, ?)", own)
        insert_risk_fit(connection, study)
        return count_rows(connection, "lake.samples")


def _finish(database: Path, beside: Path, stamp: Stamp, previous: str | None) -> int:
    """Drop what reads the lake, so that the file stands alone; returns the number of samples.

    What the next build compares with goes into the folder beside it.
    """
    with duckdb.connect(str(database)) as connection:
        connection.execute("drop schema staging cascade")
        connection.execute("drop schema lake cascade")
        connection.execute("checkpoint")
        keep_for_next(connection, beside, stamp, previous)
        return count_rows(connection, "samples")
