"""A lake of version 0.1: it opens, has to do what the upgrade says alone, and keeps its tables."""

import math
import os
import tarfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.runs import Run
from memtriggers.pipelines.core.study import Resources
from memtriggers.pipelines.core.study_file import load_study
from memtriggers.pipelines.stages import ORDER, STAGES
from memtriggers.pipelines.upkeep.refresh import refresh_lake

ARCHIVE = Path(__file__).parent / "first_edition" / "lake.tar.xz"
CURRENT = Path("/proc/self/cwd")  # the paths that the lake knows its files by: see its README.md
OF_BUILDS = {"build_info", "runs"}  # tables of times, versions and names of builds
# Those that are calculated from what models make: another machine rounds otherwise.
OF_MODELS = {
    *("replication", "replication_scores", "replication_by_family", "replication_thresholds"),
    *("prompt_scores", "object_detections", "object_detectors", "object_rates"),
    "object_candidates",
}

pytestmark = pytest.mark.skipif(not CURRENT.exists(), reason="a lake that was made on Linux")

Tables = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Upgraded:
    """The tables of the lake as it was, after two refreshes, and after every stage; what ran."""

    opened: Tables
    first_refresh: list[Run]
    refreshed: Tables
    second_refresh: list[Run]
    forced: Tables


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory, cluster: str) -> Upgraded:
    """Everything that is done to the lake, once, in the folder where it was unpacked."""
    folder = tmp_path_factory.mktemp("first-edition")
    with tarfile.open(ARCHIVE) as tar:
        tar.extractall(folder, filter="data")
    with work_in(folder, cluster):
        resources = Resources(device="cpu", scheduler=cluster)
        study, lake = load_study(CURRENT / "study.toml", resources), Lake(folder / "lake")
        opened = read_tables(lake)
        with lake.lock():
            first = refresh_lake(study, lake, lambda run: None)
            refreshed = read_tables(lake)
            second = refresh_lake(study, lake, lambda run: None)
            for name in ORDER:
                STAGES[name].run(study, lake)
        return Upgraded(opened, first, refreshed, second, read_tables(lake))


@contextmanager
def work_in(folder: Path, cluster: str) -> Iterator[None]:
    """Let this process and the workers that all tests share be in a folder for a while."""
    with Client(cluster) as client, chdir(folder):
        (before,) = client.run(os.getcwd).values()
        client.run(os.chdir, str(folder))
        try:
            yield
        finally:
            client.run(os.chdir, before)


def read_tables(lake: Lake) -> Tables:
    """The rows of every published table, sorted by what does not depend on rounding first."""
    names = lake.sql("select table_name from duckdb_tables()").fetchall()
    return {name: read_table(lake, name) for (name,) in names}


def read_table(lake: Lake, name: str) -> list[dict[str, Any]]:
    table = lake.sql(f"from {name}")
    is_rounded = dict(zip(table.columns, ("DOUBLE" in str(t) for t in table.types), strict=True))
    order = ", ".join(f'"{column}"' for column in sorted(table.columns, key=is_rounded.get))
    rows: list[dict[str, Any]] = table.order(order).to_arrow_table().to_pylist()
    return rows


def differing(before: Tables, after: Tables, of_models: float = 1e-9) -> set[str]:
    """The columns of the first tables that are others in the second, as `table.column`."""
    return {
        f"{name}.{column}"
        for name in before.keys() - OF_BUILDS
        for column in (before[name] or [{}])[0]
        if not is_same(
            [in_utc(row[column]) for row in before[name]],
            [in_utc(row[column]) for row in after[name]],
            of_models if name in OF_MODELS else 1e-9,
        )
    }


def judged(tables: Tables) -> Tables:
    """The tables with `removal_list` as it is now; 0.1 kept what it could not judge."""
    unknown = {"action": "not_judged", "representative_sample_id": None}
    rows = [
        row | unknown if row["reason"] == "it has no embedding" else row
        for row in tables["removal_list"]
    ]
    assert any(row["action"] == "not_judged" for row in rows)
    return tables | {"removal_list": rows}


def in_utc(value: Any) -> Any:
    """A time as it is published now; 0.1 published `generated_at` with its zone, UTC."""
    has_zone = isinstance(value, datetime) and value.tzinfo is not None
    return value.astimezone(UTC).replace(tzinfo=None) if has_zone else value


def is_same(one: Any, other: Any, tolerance: float) -> bool:
    """Whether two values are the same, floating-point numbers nearly so, in lists as well."""
    if isinstance(one, list) and isinstance(other, list):
        pairs = zip(one, other, strict=False)
        return len(one) == len(other) and all(is_same(a, b, tolerance) for a, b in pairs)
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
    return bool(one == other)


def test_it_opens_and_every_table_of_it_says_something(upgraded: Upgraded) -> None:
    assert {name for name, rows in upgraded.opened.items() if not rows} == {"changes"}
    assert upgraded.refreshed.keys() - upgraded.opened.keys() == {"sample_rows"}  # new since then


def test_a_refresh_runs_what_the_upgrade_says_and_nothing_else(upgraded: Upgraded) -> None:
    # `filter` has another version: it reads lists of captions, and says which rows it cannot read.
    # `words` has another: it folds full-width forms and soft hyphens, of which there are none.
    # What follows from them runs, and finds nothing new: nothing is fetched, embedded or generated.
    # `fetch` and `embed` have other versions, too: they count what is lost, and compare images with
    # their files; `embed` looks for palette pictures, of which there are none. `build` has another,
    # which publishes times without a zone and what was not judged; the report shows the build.
    ran = [(run.stage, run.n_out) for run in upgraded.first_refresh]
    assert [stage for stage, _ in ran] == [
        *("filter", "words", "fetch", "embed", "cluster", "build", "prompts", "generate"),
        *("score", "objects", "build", "report"),
    ]
    done = dict(ran)
    assert [done[stage] for stage in ("fetch", "embed", "generate")] == [0, 0, 0]
    assert upgraded.second_refresh == []


def test_a_refresh_keeps_the_tables(upgraded: Upgraded) -> None:
    # Detections are sums of float32 products, whose order is the processor's: 2e-6 was seen.
    before = judged(upgraded.opened)
    assert differing(before, upgraded.refreshed, of_models=1e-5) == set()
    assert upgraded.refreshed["changes"] == []
    assert all(row["generated_at"].tzinfo is None for row in upgraded.refreshed["generations"])
    before, after = upgraded.opened["runs"], upgraded.refreshed["runs"]
    assert {run["run_id"] for run in before} < {run["run_id"] for run in after}


def test_every_stage_forced_ends_with_the_same_tables(upgraded: Upgraded) -> None:
    assert differing(upgraded.refreshed, upgraded.forced, of_models=1e-3) == set()
    assert upgraded.forced["changes"] == []
    rows = sum(sample["n_rows"] for sample in upgraded.forced["samples"])
    assert len(upgraded.forced["sample_rows"]) == rows  # `filter` has written it by now
