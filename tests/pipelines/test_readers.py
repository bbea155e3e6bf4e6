"""Ten readers while one build after the other is published: no error, and each answer is of one."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator

import duckdb
import pytest

from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.warehouse.publish import BUILDS_KEPT, publish

N_READERS, N_BUILDS, N_ROWS, N_MOVES = 10, 20, 20_000, 2_000
# A build is one number in every row of two tables: another number in an answer is another build's.
READ = """
import json, sys
from memtriggers import Lake
lake, seen, builds = Lake(sys.argv[1]), [], set()
print("ready", flush=True)
while not (lake.root / "stop").exists():
    found = lake.sql('''
        select min(build), max(build), count(*) from (from samples union all from clusters)
    ''').fetchone()
    seen.append(found)
    builds.add(found[0])
    if len(builds) == 4:
        (lake.root / f"seen-{sys.argv[2]}").touch()
print(json.dumps(seen))
"""
# Reading the pointer is faster than moving it: a moment without one is met within a few moves.
FOLLOW = """
import os, sys
pointer, stop, n_seen, last = sys.argv[1], sys.argv[2], 0, ""
print("ready", flush=True)
while not os.path.exists(stop):
    for _ in range(1000):
        target = os.readlink(pointer)
        n_seen, last = n_seen + (target != last), target
print(n_seen)
"""


def publish_rows(lake: Lake, number: int) -> None:
    """Publish a small database the way `build` does."""
    lake.scratch.mkdir(parents=True, exist_ok=True)
    database = lake.scratch / "warehouse.duckdb"
    with duckdb.connect(str(database)) as connection:
        for table in ("samples", "clusters"):
            connection.execute(
                f"create table {table} as select $n as build from range({N_ROWS})", {"n": number}
            )
    publish(lake, database, f"20260101T{number:06d}Z-0000000000000000")


def publish_empty(lake: Lake, number: int) -> None:
    """Publish a file that nobody opens the way `build` does."""
    database = lake.scratch / "warehouse.duckdb"
    database.touch()
    publish(lake, database, f"20260101T{number:06d}Z-0000000000000000")


@pytest.fixture
def readers(lake: Lake) -> Iterator[list["subprocess.Popen[str]"]]:
    publish_rows(lake, 0)
    command = [sys.executable, "-c", READ, str(lake.root)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    started = [
        subprocess.Popen([*command, str(number)], **pipes, text=True) for number in range(N_READERS)
    ]
    for reader in started:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
    yield started
    for reader in started:
        reader.kill()
        reader.communicate()


def test_ten_readers_meet_no_writer(lake: Lake, readers: list["subprocess.Popen[str]"]) -> None:
    number = 0
    while number < N_BUILDS or len(list(lake.root.glob("seen-*"))) < N_READERS:
        number += 1
        publish_rows(lake, number)
        time.sleep(0.3)  # far more often than a build can be made
        assert all(reader.poll() is None for reader in readers)
    (lake.root / "stop").touch()
    for reader in readers:
        output, errors = reader.communicate()
        assert (reader.returncode, errors) == (0, "")
        answers = json.loads(output)
        assert all(low == high and n == 2 * N_ROWS for low, high, n in answers)
        builds = [low for low, _, _ in answers]
        assert builds == sorted(builds), "nobody goes back to an older build"
        assert len(set(builds)) > 3
    assert len(list(lake.builds.glob("*.duckdb"))) == BUILDS_KEPT


def test_there_is_a_pointer_at_every_moment(lake: Lake) -> None:
    lake.scratch.mkdir(parents=True)
    publish_empty(lake, 0)
    command = [sys.executable, "-c", FOLLOW, str(lake.current), str(lake.root / "stop")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == "ready\n"
        for number in range(1, N_MOVES):
            publish_empty(lake, number)
        (lake.root / "stop").touch()
        output, errors = follower.communicate()
    assert (follower.returncode, errors) == (0, "")
    assert int(output) > N_MOVES // 100, "it looked while the pointer moved"
