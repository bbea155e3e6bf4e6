"""Studies over small parquet files, made for one test each; the sample and the demo, run once."""
# ruff: noqa: E402

import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

# Read when torch and the BLAS are loaded, and when a process starts: by those that run the tests,
# two at a time, and by those that a test starts.
ENVIRONMENT = {
    # Threads that share the two cores of a small machine only wait for each other.
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    # As in our workers: threads of torch that wait for each other sleep, and memory is kept.
    "GOMP_SPINCOUNT": "1000",
    **dict.fromkeys(("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"), str(1 << 30)),
}
os.environ |= ENVIRONMENT

# What dbt has read of the project, shared by all builds of this run and by nobody else's.
if "MEMTRIGGERS_CACHE" not in os.environ:
    CACHE = tempfile.TemporaryDirectory(prefix="memtriggers-cache-")  # ends with this process
    os.environ["MEMTRIGGERS_CACHE"] = CACHE.name

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, settings

from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Resources, Study
from memtriggers.pipelines.core.study_file import load_study
from memtriggers.pipelines.core.workers import WORKER_ENVIRONMENT
from memtriggers.pipelines.stages import STAGES
from memtriggers.pipelines.warehouse import dbt_run
from memtriggers.tests import warm
from memtriggers.tests.forked_workers import fork_workers
from memtriggers.tests.groups import check_group, make_scheduler, place_of
from memtriggers.tests.processor import of_children

if "MEMTRIGGERS_TESTS_WARM" not in os.environ:
    WARM = warm.new_folder()  # ends with this process, too
warm.ask_for_dbt()

N_OF_A_SET = 80  # clip-art images of each keyword set, and more where one says two
ROOT = Path(__file__).parents[1]
ON_WORKERS = ("embed", "generate", "score", "objects")

# What an example takes depends on the machine: a slow one is no failure.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

LAION_SCHEMA = pa.schema(
    {
        "SAMPLE_ID": pa.int64(),
        "URL": pa.string(),
        "TEXT": pa.string(),
        "HEIGHT": pa.int32(),
        "WIDTH": pa.int32(),
        "LICENSE": pa.string(),
        "NSFW": pa.string(),
        "similarity": pa.float64(),
    }
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs the whole demo is slow; the groups that take longest come first."""
    for item in items:
        if "demo" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
        check_group(item)
    items.sort(key=lambda item: place_of(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each group of tests to one process."""
    return make_scheduler(config, log)


def laion_row(number: int, **changes: Any) -> dict[str, Any]:
    row = {
        "SAMPLE_ID": number,
        "URL": f"https://host{number}.example/{number}.jpg",
        "TEXT": f"a picture of thing {number}",
        "HEIGHT": 300,
        "WIDTH": 400,
        "LICENSE": "?",
        "NSFW": "UNLIKELY",
        "similarity": 0.33,
    }
    return row | changes


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def write_laion(tmp_path: Path) -> Callable[..., Path]:
    """Write LAION-400M-shaped parquet; each row is given by what differs from a clean one."""

    def write(*rows: dict[str, Any], name: str = "laion.parquet") -> Path:
        full = [laion_row(number, **row) for number, row in enumerate(rows)]
        path = tmp_path / name
        pq.write_table(pa.Table.from_pylist(full, schema=LAION_SCHEMA), path)
        return path

    return write


@pytest.fixture
def write_captions(write_laion: Callable[..., Path]) -> Callable[..., Path]:
    return lambda *captions: write_laion(*({"TEXT": caption} for caption in captions))


@pytest.fixture
def make_study(tmp_path: Path) -> Callable[..., Study]:
    """Write a study file and read it. Keyword sets are given as name=dict(include=[...])."""

    def make(
        parquet: str = "*.parquet", data: str = "", sections: str = "", **sets: dict[str, Any]
    ) -> Study:
        lines = [f'[data]\nparquet = "{parquet}"\n{data}']
        for name, keys in (sets or {"everything": {"include": ["*"]}}).items():
            lines.append(f'[[keyword_set]]\nname = "{name}"')
            lines += [
                f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in keys.items()
            ]
        path = tmp_path / "study.toml"
        path.write_text("\n".join([*lines, sections]), encoding="utf-8")
        return load_study(path)

    return make


@pytest.fixture
def build_only(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let builds make some tables alone, with what these read and the tests of both."""

    def only(*tables: str) -> None:
        needed = ("build_info", "samples", "cluster_members", *tables)
        select = ("--select", *(f"+{name}" for name in needed))
        options = (*dbt_run.NOT_BUILT, *select, "--indirect-selection", "cautious")
        monkeypatch.setattr(dbt_run, "NOT_BUILT", options)

    return only


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Dask cluster of one worker: each that starts imports torch for seconds."""
    import dask
    from distributed import LocalCluster

    fork_workers()

    with (
        dask.config.set({"distributed.nanny.pre-spawn-environ": WORKER_ENVIRONMENT}),
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
            local_directory=str(tmp_path_factory.mktemp("dask")),
            silence_logs=logging.CRITICAL,
        ) as started,
    ):
        yield started.scheduler_address


@pytest.fixture
def run_stages(lake: Lake, request: pytest.FixtureRequest) -> Callable[..., None]:
    """Run stages in the lake, the way a command does.

    Those that need workers join the cluster that all tests share, unless the study has resources of
    its own or the test is marked `own_workers`.
    """

    def run(study: Study, *names: str) -> None:
        joined = study
        own = request.node.get_closest_marker("own_workers") or study.resources != Resources()
        if not own and set(names) & set(ON_WORKERS):
            shared = Resources(scheduler=request.getfixturevalue("cluster"))
            joined = replace(study, resources=shared)
        elif own:
            fork_workers()
        with lake.lock():
            for name in names:
                STAGES[name].run(joined if name in ON_WORKERS else study, lake)

    return run


@dataclass(frozen=True)
class Command:
    """One run of a command that fills a lake."""

    lake: Path
    output: str
    seconds: float  # of processors
    peak_bytes: int


def proportional_bytes(pid: int) -> int:
    """Memory of a process and all below it, shared pages counted once."""
    total = 0
    process = psutil.Process(pid)
    for one in (process, *process.children(recursive=True)):
        try:
            total += one.memory_full_info().pss
        except psutil.Error:
            continue
    return total


def run_command(folder: Path, *command: str) -> Command:
    """Run a command in a folder, and measure it."""
    started, peak = of_children(), 0
    process = subprocess.Popen(
        [*command, "--lake", str(folder / "lake")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name not in ENVIRONMENT},
    )
    while process.poll() is None:
        try:
            peak = max(peak, proportional_bytes(process.pid))
        except psutil.NoSuchProcess:
            break
        time.sleep(1)
    output, _ = process.communicate()
    assert process.returncode == 0
    return Command(folder / "lake", output, of_children() - started, peak)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The demo, run once for all tests."""
    command = (sys.executable, "-m", "memtriggers", "demo")
    return run_command(tmp_path_factory.mktemp("demo"), *command)


@pytest.fixture(scope="session")
def clip_art(tmp_path_factory: pytest.TempPathFactory, cluster: str) -> Command:
    """A part of the bundled sample, scanned once for all tests; its study lies beside the lake."""
    folder = tmp_path_factory.mktemp("clip-art")
    table = pq.read_table(ROOT / "sample" / "openclipart.parquet")
    kept = set(range(0, table.num_rows, 10))
    text = (ROOT / "studies" / "openclipart.toml").read_text("utf-8")
    for word in re.findall(r'^include = \["(\w+)"\]$', text, re.MULTILINE):
        captions = (re.findall(r"\w+", caption.lower()) for caption in table["TEXT"].to_pylist())
        kept |= set([row for row, words in enumerate(captions) if word in words][:N_OF_A_SET])
    rows = table.take(sorted(kept)).to_pylist()
    # A copy of a star whose caption says nothing of its cluster.
    rows += [row | {"TEXT": "a flower"} for row in rows if "star 77pt04step" in row["TEXT"]]
    pq.write_table(pa.Table.from_pylist(rows, table.schema), folder / "openclipart.parquet")
    text = text.replace("../sample/openclipart.parquet", "openclipart.parquet")
    study = folder / "openclipart.toml"  # where clusters fall apart, too
    study.write_text(text.replace("[0.85, 0.9, 0.95]", "[0.85, 0.9, 0.95, 0.99]"), "utf-8")
    command = warm.command("memtriggers", "refresh", "--study", study, "--scheduler", cluster)
    return run_command(folder, *command)


@pytest.fixture(scope="session")
def van_gogh(tmp_path_factory: pytest.TempPathFactory, cluster: str) -> Path:
    """A folder with the paper's study, made small, and the lake that one `refresh` made of it."""
    from memtriggers.tests import van_gogh  # imports torch

    folder, served = tmp_path_factory.mktemp("van_gogh"), tmp_path_factory.mktemp("served")
    with van_gogh.serve(served) as address:
        van_gogh.write_world(folder, served, address)
        van_gogh.write_study(folder)
        assert "report" in van_gogh.refresh(folder, cluster)
    return folder
