"""Four thousand addresses on a server that answers with nonsense, where few files may be open."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Study

SEED = os.environ.get("MEMTRIGGERS_SERVER_SEED", "0")  # another one makes other nonsense
FEW_FILES = ("sh", "-c", 'ulimit -n 256 && exec "$@"', "sh")
SETTINGS = "[fetch]\nallow_private_hosts = true\ntimeout = 0.5\nretries = 0\nmax_bytes = 200000\n"

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="127.x.y.z is one address elsewhere"
)


@pytest.fixture
def port() -> Iterator[int]:
    """Where a server that answers at random listens."""
    command = [sys.executable, "-m", "memtriggers.tests.random_server", SEED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield int(server.stdout.readline())
        server.kill()


# Half as many find as much; all of them are what was promised.
@pytest.mark.parametrize("n_addresses", [4_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_every_address_has_an_outcome(
    n_addresses: int,
    port: int,
    tmp_path: Path,
    lake: Lake,
    make_study: Callable[..., Study],
    write_samples: Callable[..., list[str]],
    read_images: Callable[[], dict[str, dict[str, Any]]],
) -> None:
    urls = [
        f"http://127.{n % 7}.{n // 200}.{1 + n % 200}:{port}/{'good' if n % 5 == 0 else 'any'}/{n}"
        for n in range(n_addresses)
    ]
    ids = write_samples(*({"url": url} for url in urls))
    make_study(sections=SETTINGS)
    done = subprocess.run(
        [*FEW_FILES, sys.executable, "-m", "memtriggers", "fetch", "--lake", str(lake.root)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 4 and "samples have no image" in done.stdout
    assert "Traceback" not in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) == 1, "that there are fewer downloads at the same time"
    rows = read_images()
    assert set(rows) == set(ids)
    reasons = [row["status_reason"] for row in rows.values() if row["status"] != "ok"]
    assert all(reason is not None and len(reason) <= 500 for reason in reasons)
    good = Counter(rows[sample_id]["status"] for sample_id in ids[::5])
    assert set(good) <= {"ok", "timeout"}, good  # a busy machine may be slow, and nothing else
