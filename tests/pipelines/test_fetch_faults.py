"""Faults of this machine stop `fetch`, and none of them becomes what happened to a row."""

import asyncio
import errno
import os
import resource
import shutil
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from memtriggers.pipelines.core.errors import StageError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Fetch, Study
from memtriggers.pipelines.images import network
from memtriggers.pipelines.images.decoders import start_decoders
from memtriggers.pipelines.images.fetched import _fetch_image
from memtriggers.pipelines.images.files import FileSource
from memtriggers.pipelines.images.machine import fault_of
from memtriggers.pipelines.images.rows import ImageSource, Row
from memtriggers.pipelines.images.web import open_web

Rows = dict[str, dict[str, Any]]
Write = Callable[..., list[str]]
LOCAL = "[fetch]\nallow_private_hosts = true\n"
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="as Linux does it")


def fetch_command(lake: Lake, *before: str) -> "subprocess.CompletedProcess[str]":
    command = [*before, sys.executable, "-m", "memtriggers", "fetch", "--lake", str(lake.root)]
    return subprocess.run(command, cwd=lake.root.parent, capture_output=True, text=True)


@ON_LINUX
def test_many_hosts_and_few_open_files(
    lake: Lake, make_study: Callable[..., Study], write_samples: Write, read_images: Any
) -> None:
    """Each host leaves a connection open that nobody uses: they must not use up what may be."""
    command = [sys.executable, "-m", "memtriggers.tests.random_server", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        write_samples(
            *({"url": f"http://127.0.{n % 5}.{n // 5 + 1}:{port}/good"} for n in range(600))
        )
        make_study(sections=LOCAL)
        done = fetch_command(lake, "sh", "-c", 'ulimit -n 200 && exec "$@"', "sh")
        server.kill()
    assert done.stdout == "fetch: 600 in, 600 out, 0 lost\n", done.stderr
    assert Counter(row["status"] for row in read_images().values()) == {"ok": 600}
    assert "downloads at the same time instead of 64, for this machine allows 200" in done.stderr


@contextmanager
def no_more_files() -> Iterator[None]:
    """Within the block this process cannot open another file."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    n_open = len(list(Path("/dev/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (n_open + 50, before[1]))
    try:
        with suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def fetch_row_without_files(source: ImageSource, url: str) -> dict[str, Any]:
    with ThreadPoolExecutor(1) as threads, start_decoders(Fetch(), 1) as decoders, no_more_files():
        return await _fetch_image(Row("0", url, "", 0), source, threads, decoders)


def test_too_many_open_files_are_the_fault_of_no_file_and_of_no_host(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"image")

    async def from_file() -> None:
        await fetch_row_without_files(FileSource(tmp_path, 100), "a.png")

    async def from_web() -> None:
        async with open_web(Fetch(allow_private_hosts=True, timeout=5.0)) as web:
            await fetch_row_without_files(web, "http://127.0.0.1:1/")

    for one in (from_file, from_web):
        with pytest.raises(OSError, match="Too many open files") as error:
            asyncio.run(one())
        assert "ulimit -n" in (fault_of(error.value) or "")


def test_what_this_machine_runs_out_of() -> None:
    for number in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.ENOSPC):
        assert fault_of(OSError(number, os.strerror(number)))
    both = "Multiple exceptions: [Errno 101] Network is unreachable, [Errno 24] Too many open files"
    for error in (MemoryError(), OSError(both), RuntimeError("can't start new thread")):
        assert fault_of(error)
    for number in (errno.ENOENT, errno.EACCES, errno.EIO, errno.ECONNREFUSED, errno.ENETUNREACH):
        assert fault_of(OSError(number, os.strerror(number))) is None
    for error in (OSError("a server says [Errno 24]"), ValueError("can't start new thread")):
        assert fault_of(error) is None


def test_a_fault_half_way_keeps_what_came_before_and_the_next_run_goes_on(
    tmp_path: Path,
    lake: Lake,
    make_study: Callable[..., Study],
    write_samples: Write,
    run_stages: Callable[..., None],
    read_images: Callable[[], Rows],
    draw: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "0.png").write_bytes(draw(0))
    for n in range(1, 900):
        (tmp_path / f"{n}.png").hardlink_to(tmp_path / "0.png")
    write_samples(*({"url": f"{n}.png", "caption": str(n)} for n in range(900)))
    study = make_study(data='image_root = "."')
    read, n_read = FileSource.read, 0

    async def run_out_of_memory(source: FileSource, row: Row) -> bytes:
        nonlocal n_read
        n_read += 1
        if n_read > 700:
            raise MemoryError
        return await read(source, row)

    with monkeypatch.context() as patched:
        patched.setattr(FileSource, "read", run_out_of_memory)
        with pytest.raises(StageError, match=r"^fetch: no memory left; .* max_bytes in \[fetch\]"):
            run_stages(study, "fetch")
    kept = read_images().values()
    assert 600 < len(kept) <= 700 and {row["status"] for row in kept} == {"ok"}
    run_stages(study, "fetch")
    assert Counter(row["status"] for row in read_images().values()) == {"ok": 900}


WITHOUT_NETWORK = ("unshare", "--map-root-user", "--net")
CANNOT_UNSHARE = (
    shutil.which("unshare") is None
    or subprocess.run([*WITHOUT_NETWORK, "true"], capture_output=True).returncode != 0
)


@pytest.mark.skipif(CANNOT_UNSHARE, reason="needs Linux's network namespaces")
@pytest.mark.parametrize("host", ["{}.example.org", "1.1.1.{}", "[2606:4700::{}]"])
def test_a_machine_without_a_network_says_so_and_blames_no_host(
    lake: Lake, make_study: Callable[..., Study], write_samples: Write, read_images: Any, host: str
) -> None:
    write_samples(*({"url": f"http://{host.format(n + 1)}/"} for n in range(200)))
    make_study(sections="[fetch]\ntimeout = 0.5")
    done = fetch_command(lake, *WITHOUT_NETWORK)
    assert done.stderr.startswith("Error: fetch: this machine has no network: no name is found")
    assert done.stderr.count("\n") == 1 and done.returncode == 1
    assert read_images() == {}


@pytest.fixture
def port() -> Iterator[int]:
    """Where `image` is served."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"image")

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_port
        server.shutdown()


async def read_all(urls: list[str], timeout: float = 5.0) -> list[Any]:
    settings = Fetch(allow_private_hosts=True, timeout=timeout, retries=0)
    async with open_web(settings) as web:
        reads = (web.read(Row(url, url, "", 0)) for url in urls)
        return await asyncio.gather(*reads, return_exceptions=True)


def test_what_fails_while_the_network_is_down_is_tried_again_when_it_is_back(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_up, getaddrinfo, looks = False, socket.getaddrinfo, 0

    def look_up(host: str, *args: Any, **kwargs: Any) -> Any:
        nonlocal is_up, looks
        if host == network._A_NAME:
            looks += 1
            is_up = looks == 3
        if not is_up:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return getaddrinfo("127.0.0.1", *args, **kwargs)

    monkeypatch.setattr(network, "_PAUSE", 0.01)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert asyncio.run(read_all([f"http://late.example:{port}/"])) == [b"image"]
    assert looks == 3


def test_a_host_that_nobody_can_reach_is_to_blame_where_there_is_a_network(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "_OUTSIDE", ("127.0.0.1",))  # to which there is always a route
    (refused,) = asyncio.run(read_all(["http://[2001:db8::1]/"], timeout=0.5))
    assert refused.status in ("connection", "timeout")  # of IPv6 alone, and this machine has none

    def nobody_knows(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody_knows)
    (unknown,) = asyncio.run(read_all(["http://gone.example/"]))
    assert unknown.status == "dns"
    monkeypatch.setattr(network, "_OUTSIDE", ())
    (down,) = asyncio.run(read_all(["http://gone.example/"], timeout=0.1))
    assert isinstance(down, StageError), "some systems know no name when they have no network"
