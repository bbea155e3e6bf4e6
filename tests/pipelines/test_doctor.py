"""doctor reckons from the runs and the tables of the lake."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import image_vectors
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.upkeep.doctor import estimate_spaces, estimate_times


def write_run(lake: Lake, stage: str, n_in: int, seconds: int, status: str = "ok") -> None:
    started = "2026-01-01T00:00:00+00:00"
    run: dict[str, Any] = {"stage": stage, "n_in": n_in, "status": status, "started_at": started}
    run["finished_at"] = f"2026-01-01T00:00:{seconds:02}+00:00"
    lake.runs.mkdir(parents=True, exist_ok=True)
    (lake.runs / f"{len(list(lake.runs.iterdir()))}-{stage}.json").write_text(json.dumps(run))


def test_times_come_from_the_largest_run_of_each_stage(lake: Lake) -> None:
    write_run(lake, "embed", 1_000, 10)
    write_run(lake, "embed", 0, 1)
    write_run(lake, "embed", 9_000, 1, "failed")
    write_run(lake, "cluster", 1_000, 2)
    assert estimate_times(lake, 10_000) == [
        ("embed", "1,000", "100", "100"),
        ("cluster", "1,000", "500", "200"),
    ]


def test_past_the_exact_method_cluster_grows_with_the_rows(lake: Lake) -> None:
    write_run(lake, "cluster", 100_000, 10)
    for rows, seconds in ((200_000, "40"), (400_000, "80"), (800_000, "160")):
        assert estimate_times(lake, rows)[0][-1] == seconds


def test_space_comes_from_the_files_of_each_table(lake: Lake) -> None:
    table = image_vectors("tiny", 512)
    vectors = pa.array([[0.5] * 512] * 1000, pa.list_(pa.float16(), 512))
    ids = [f"{number:032}" for number in range(1000)]
    rows = pa.table({"sample_id": ids, "vector": vectors, "status": ["ok"] * 1000})
    VectorStore(lake.vectors).append(table, rows)
    ((name, n_bytes, gigabytes),) = estimate_spaces(lake, 1_000_000)
    assert name == table.name
    assert 1024 < int(n_bytes.replace(",", "")) < 1200
    assert float(gigabytes) == pytest.approx(1.05, abs=0.1)


def test_the_command_without_a_lake_says_how_to_get_rates(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "memtriggers", "doctor", "--lake", "none"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("cores", "GPUs", "duckdb 1.5", "GB at", "no run to measure yet"):
        assert word in done.stdout
    assert not (tmp_path / "none").exists()
