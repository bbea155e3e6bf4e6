"""The progress bar on a real terminal: a child of this process that writes to a pseudo-terminal."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

STEPS = """
import time
from memtriggers.pipelines.core.progress import progress

with progress("generate", 100, {unit!r}) as advance:
    for _ in range(5):
        time.sleep(0.2)
        advance(4)
"""


def show_on_terminal(unit: str | None) -> str:
    """What the bar writes, a line for each time that it is drawn."""
    master, terminal = pty.openpty()
    command = [sys.executable, "-c", STEPS.format(unit=unit)]
    with subprocess.Popen(command, stderr=terminal, env=os.environ | {"COLUMNS": "100"}) as child:
        os.close(terminal)
        written = b""
        while chunk := read(master):
            written += chunk
    os.close(master)
    assert child.returncode == 0, written.decode()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode().replace("\r", "\n"))


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # the child has closed the other end
        return b""


def test_a_bar_says_how_many_a_second_and_the_time_left() -> None:
    lines = show_on_terminal("images").split("\n")
    (speed, left) = next(
        match.groups()
        for line in reversed(lines)
        if (match := re.search(r"20/100 +([\d.]+) images/s +0:00:(\d\d)", line))
    )
    assert 5 < float(speed) <= 20  # four in 0.2 seconds and what else the machine does
    assert abs(int(left) - 80 / float(speed)) < 2


def test_a_bar_without_a_unit_says_the_time_left() -> None:
    shown = show_on_terminal(None)
    assert "images/s" not in shown and re.search(r"20/100 +0:00:\d\d", shown)


def test_no_terminal_sees_no_bar(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STEPS.format(unit="images")]
    child = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (child.returncode, child.stdout, child.stderr) == (0, "", "")
