"""Studies over small parquet files, made for one test each; the sample and the demo, run once."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memtriggers.pipelines.lake import Lake
from memtriggers.pipelines.stages import STAGES
from memtriggers.pipelines.study import Study
from memtriggers.pipelines.study_file import load_study

# As in our workers: torch's threads would spin for seconds on a machine that has other work. Read
# when torch is imported, which nothing above does.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

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
def run_stages(lake: Lake) -> Callable[..., None]:
    """Run stages in the lake, the way a command does."""

    def run(study: Study, *names: str) -> None:
        with lake.lock():
            for name in names:
                STAGES[name].run(study, lake)

    return run


@dataclass(frozen=True)
class Command:
    """One run of a command that fills a lake."""

    lake: Path
    output: str
    seconds: float
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


def run_command(folder: Path, *arguments: str) -> Command:
    """Run a command as a person does, and measure it."""
    started, peak = time.monotonic(), 0
    process = subprocess.Popen(
        [sys.executable, "-m", "memtriggers", *arguments, "--lake", str(folder / "lake")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
    )
    while process.poll() is None:
        try:
            peak = max(peak, proportional_bytes(process.pid))
        except psutil.NoSuchProcess:
            break
        time.sleep(0.25)
    output, _ = process.communicate()
    assert process.returncode == 0
    return Command(folder / "lake", output, time.monotonic() - started, peak)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The demo, run once for all tests."""
    return run_command(tmp_path_factory.mktemp("demo"), "demo")


@pytest.fixture(scope="session")
def clip_art(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The bundled sample, scanned once for all tests."""
    study = Path(__file__).parents[1] / "studies" / "openclipart.toml"
    return run_command(tmp_path_factory.mktemp("clip-art"), "refresh", "--study", str(study))
