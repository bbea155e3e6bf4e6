"""What files hold is known by their bytes; each is read once as long as it looks the same."""

import hashlib
import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from memtriggers.pipelines.core import remote_contents
from memtriggers.pipelines.core.contents import (
    GONE,
    NO_FILE,
    UNREADABLE,
    content_fingerprint,
    contents,
    forget_contents,
)
from memtriggers.pipelines.core.errors import SourceError
from memtriggers.pipelines.core.lake import Lake

LONG_AGO = 1_600_000_000 * 10**9  # ns


@pytest.fixture
def begun(lake: Lake) -> Lake:
    with lake.lock():
        return lake


def write(file: Path, text: bytes, time: int = LONG_AGO) -> str:
    file.write_bytes(text)
    os.utime(file, ns=(time, time))
    return str(file)


def held(lake: Lake, *files: str) -> list[str]:
    return [content for _, content in contents(lake, files)]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_file_is_known_by_the_hash_of_all_its_bytes(begun: Lake, tmp_path: Path) -> None:
    large = random.Random(0).randbytes(3_000_000)
    files = [write(tmp_path / "a", b"one"), write(tmp_path / "b", large), str(tmp_path / "none")]
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    files += [str(tmp_path), str(tmp_path / "pipe"), str(tmp_path / "loop"), "a\0b", files[0]]
    expected = [sha256(b"one"), sha256(large), GONE, NO_FILE, NO_FILE, UNREADABLE, UNREADABLE]
    for _ in range(2):
        assert held(begun, *files) == [*expected, sha256(b"one")]


def test_the_same_size_and_time_is_trusted_until_it_is_forgotten(
    begun: Lake, tmp_path: Path
) -> None:
    file = write(tmp_path / "a", b"one")
    assert held(begun, file) == [sha256(b"one")]
    write(tmp_path / "a", b"two")
    assert held(begun, file) == [sha256(b"one")]
    forget_contents(begun)
    assert held(begun, file) == [sha256(b"two")]


@pytest.mark.parametrize("time", [0, LONG_AGO - 1, LONG_AGO + 1, 4_000_000_000 * 10**9])
def test_another_time_is_looked_at_whatever_the_clock_says(
    begun: Lake, tmp_path: Path, time: int
) -> None:
    file = write(tmp_path / "a", b"one")
    before = content_fingerprint(begun, [file])
    write(tmp_path / "a", b"one", time)
    assert content_fingerprint(begun, [file]) == before
    write(tmp_path / "a", b"two", time + 1)
    assert content_fingerprint(begun, [file]) != before


def test_what_is_written_again_at_once_gets_another_time(begun: Lake, tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / "a").write_bytes(data := b"%02d" % number)
        assert held(begun, str(tmp_path / "a")) == [sha256(data)]


def test_names_count_and_so_does_their_order(begun: Lake, tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", b"one"), write(tmp_path / "b", b"one")
    assert len({content_fingerprint(begun, files) for files in ([a], [b], [a, b], [b, a])}) == 4
    odd = os.fsdecode(b"\xff")
    assert held(begun, write(tmp_path / odd, b"one")) == [sha256(b"one")]


@pytest.mark.parametrize("junk", [b"", b"no database at all" * 100, None])
def test_what_is_remembered_may_be_lost(begun: Lake, tmp_path: Path, junk: bytes | None) -> None:
    file = write(tmp_path / "a", b"one")
    before = held(begun, file)
    if junk is None:  # its last half
        with begun.contents.open("r+b") as opened:
            opened.truncate(begun.contents.stat().st_size // 2)
    else:
        begun.contents.write_bytes(junk)
    assert held(begun, file) == before
    write(tmp_path / "a", b"two")
    held(begun, write(tmp_path / "b", b"three"))
    assert held(begun, file)[0] in (sha256(b"one"), sha256(b"two"))


def test_who_cannot_write_hashes_and_forgets(begun: Lake, tmp_path: Path) -> None:
    file = write(tmp_path / "a", b"one")
    begun.contents.mkdir()  # no file can be opened there, whoever asks
    assert held(begun, file) == [sha256(b"one")]
    write(tmp_path / "a", b"two")
    assert held(begun, file) == [sha256(b"two")]


def test_asking_makes_no_lake(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "none")
    assert held(lake, write(tmp_path / "a", b"one")) == [sha256(b"one")]
    assert not lake.root.exists()


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, dict[str, tuple[str, bytes]]]]:
    """An object store: the address of a name in it, and by name the (ETag, bytes)."""
    objects: dict[str, tuple[str, bytes]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            tag, data = objects.get(self.path.removeprefix("/bucket/"), ("", b""))
            self.send_response(200 if tag else 404)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
            if tag:
                self.send_header("ETag", f'"{tag}"')
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        there = f"scheme=http&endpoint_override=127.0.0.1%3A{server.server_port}&region=x"
        yield f"s3://key:secret@bucket/{{}}?{there}", objects
        server.shutdown()


def test_an_object_store_is_asked_for_etag_and_size(
    begun: Lake, bucket: tuple[str, dict[str, tuple[str, bytes]]]
) -> None:
    address, objects = bucket
    file = address.format("a.parquet")
    seen = []
    for tag, data in (("one", b"1"), ("one", b"1"), ("two", b"1"), ("two", b"22")):
        objects["a.parquet"] = (tag, data)
        seen += held(begun, file)
    assert seen[0] == seen[1] and len(set(seen)) == 3
    del objects["a.parquet"]
    assert held(begun, file) == [GONE]


def test_an_address_without_an_etag_is_known_by_size_and_time(begun: Lake, tmp_path: Path) -> None:
    address = f"file://{write(tmp_path / 'a', b'one')}"
    before = held(begun, address)
    assert held(begun, address) == before
    write(tmp_path / "a", b"one", LONG_AGO + 1)
    assert held(begun, address) != before


def test_an_address_that_cannot_be_asked_is_an_error(begun: Lake) -> None:
    address = "https://127.0.0.1:1/a.parquet"
    with pytest.raises(SourceError, match=f"{address}: cannot be looked at: .*mend the address"):
        held(begun, address)


def test_many_files_are_read_a_few_at_a_time(
    begun: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memtriggers.pipelines.core.contents._AT_ONCE", 7)
    files = [write(tmp_path / str(n), str(n).encode()) for n in range(30)]
    asked: list[str] = []

    def ask() -> Iterator[str]:
        for file in files:
            asked.append(file)
            yield file

    found = contents(begun, ask())
    assert next(found) == (files[0], sha256(b"0")) and len(asked) == 7
    assert [content for _, content in found] == [sha256(str(n).encode()) for n in range(1, 30)]


def test_addresses_that_are_asked_for_at_once_get_their_own_answers(tmp_path: Path) -> None:
    files = [tmp_path / str(number) for number in range(100)]
    for number, file in enumerate(files):
        file.write_bytes(bytes(number))
    with ThreadPoolExecutor(8) as threads:
        said = list(threads.map(remote_contents._as_duckdb_says, map(str, files)))
    assert [text and text.split()[0] for text in said] == [str(number) for number in range(100)]
