"""What `refresh --print-schedule` prints runs this lake's refresh, whatever its path is called."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Resources
from memtriggers.pipelines.upkeep.cron_and_systemd import refresh_command, schedule

HOSTILE = """it's 100% "my" $HOME \\ lake; exit 7 #"""


def memtriggers(*arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "memtriggers", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a study, as hard to quote as one can be."""
    folder = tmp_path / HOSTILE
    folder.mkdir()
    text = '[data]\nparquet = "no.parquet"\n[[keyword_set]]\nname = "x"\ninclude = ["x"]\n'
    (folder / "study.toml").write_text(text)
    return folder


def test_the_command_names_whole_paths_and_what_was_asked_for(folder: Path) -> None:
    given = Resources(device="cpu", workers=2, scheduler="tcp://x:1")
    assert refresh_command(Path("study.toml"), Lake("lake"), given)[1:] == [
        *("-m", "memtriggers", "refresh"),
        *("--study", str(Path.cwd() / "study.toml"), "--lake", str(Path.cwd() / "lake")),
        *("--device", "cpu", "--workers", "2", "--scheduler", "tcp://x:1"),
    ]


def test_the_shell_of_cron_runs_the_line(folder: Path, tmp_path: Path) -> None:
    printed = memtriggers("refresh", "--print-schedule", "cron", cwd=folder)
    assert (printed.returncode, printed.stderr) == (0, "")
    times, command = printed.stdout.split(" * * * ")
    assert times == "17 3"
    assert "%" not in command.replace(r"\%", "")
    kept = {key: value for key, value in os.environ.items() if key == "PYTHONPATH"}
    done = subprocess.run(
        ["/bin/sh", "-c", command.replace(r"\%", "%")],  # as cron does
        capture_output=True, text=True, cwd="/", env={"PATH": "/usr/bin:/bin", **kept},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {folder}/no.parquet")
    assert (folder / "lake" / ".lock").exists()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is absent")
def test_systemd_finds_no_fault(folder: Path, tmp_path: Path) -> None:
    printed = memtriggers("refresh", "--print-schedule", "systemd", cwd=folder).stdout
    _, service, timer = printed.split("# ~/.config/systemd/user/")
    for text in (service, timer):
        name, _, body = text.partition("\n")
        (tmp_path / name).write_text(body)
    command = ["systemd-analyze", "verify", "--user"]
    command += [str(tmp_path / f"memtriggers-refresh.{kind}") for kind in ("service", "timer")]
    runtime = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=runtime)
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_reads_the_words_that_were_meant() -> None:
    printed = schedule("systemd", Path("/s"), Lake(f"/{HOSTILE}"), Resources())
    (line,) = [line for line in printed.splitlines() if line.startswith("ExecStart=")]
    assert line.endswith(r'''"--lake" "/it's 100%% \"my\" $$HOME \\ lake; exit 7 #"''')
