"""One writer at a time, and nothing half-written under a final name."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from memtriggers.pipelines.core import lake as lakes
from memtriggers.pipelines.core.errors import LakeError
from memtriggers.pipelines.core.lake import Lake, replacing

HOLD = """
import sys, time
from pathlib import Path
from memtriggers.pipelines.core.lake import Lake
lake = Lake(Path(sys.argv[1]))
with lake.lock(), lake.run("filter", "hash"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(lake: Lake) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lake.root)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def runs(lake: Lake) -> list[dict[str, object]]:
    return [json.loads(file.read_text("utf-8")) for file in sorted(lake.runs.glob("*.json"))]


def test_a_second_writer_is_told_who_holds_the_lake(
    lake: Lake, holder: "subprocess.Popen[str]"
) -> None:
    with pytest.raises(LakeError, match=f"process {holder.pid} is writing"), lake.lock():
        pytest.fail("two writers at once")


def test_a_killed_writer_leaves_no_lock_and_its_run_is_marked(
    lake: Lake, holder: "subprocess.Popen[str]"
) -> None:
    assert [run["status"] for run in runs(lake)] == ["running"]
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with lake.lock():
        assert [run["status"] for run in runs(lake)] == ["killed"]


def test_an_interrupted_run_says_so(lake: Lake) -> None:
    with pytest.raises(KeyboardInterrupt), lake.lock(), lake.run("words", "hash"):
        time.sleep(0)
        raise KeyboardInterrupt
    assert [run["status"] for run in runs(lake)] == ["interrupted"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    path.write_text("old")
    with pytest.raises(ValueError, match="in the middle"), replacing(path) as unfinished:
        unfinished.write_text("half")
        raise ValueError("in the middle")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_while_a_run_is_recorded_is_one_line(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    with lake.lock():
        monkeypatch.setattr(lakes, "write_text", full)
        refused = pytest.raises(LakeError, match="No space left on device: this run of words")
        with refused, lake.run("words", "hash"):
            pytest.fail("nothing is done that could not be recorded")
        monkeypatch.undo()
        with pytest.raises(ValueError, match="the first thing"), lake.run("words", "hash"):
            monkeypatch.setattr(lakes, "write_text", full)
            raise ValueError("the first thing that went wrong")


def test_what_is_written_is_on_the_disk_before_its_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, synced = tmp_path / "table.parquet", []

    def fsync(number: int) -> None:
        synced.append((Path(f"/proc/self/fd/{number}").readlink().name, path.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    with replacing(path) as unfinished:
        unfinished.write_text("whole")
    assert synced == [("table.parquet.tmp", False), (tmp_path.name, True)]
