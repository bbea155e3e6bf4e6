"""What files hold: a hash of all their bytes; one that looks as before is not read again.

`lake/contents.sqlite` remembers the hash of a file with its size and its time of change. It may be
removed at any time: then every file is read once more. Nothing depends on its being written: who
may only read a lake hashes what it does not remember, and forgets it again.
"""

import hashlib
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TypeVar

from .cores import count_cores
from .errors import LakeError
from .lake import Lake
from .lake_format import format_file
from .remembered import open_remembered
from .remote_contents import remote_content

GONE, NO_FILE, UNREADABLE = "gone", "no file", "unreadable"  # in place of a hash

_AT_ONCE = 10_000  # files of which something is in memory
_THREADS = 8  # or one a core: enough to wait for a disk or a network
_TICK = 0.02  # s: what is written within it may get the same time
_TABLE = (
    "create table if not exists files"
    " (path blob primary key, size integer, mtime_ns integer, hash text) without rowid"
)

T = TypeVar("T")
Look = tuple[int, int]  # size in bytes, time of change in ns


def contents(lake: Lake, files: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each file and what it holds, in their order; of any number, a few are in memory at a time.

    What a file holds is the SHA-256 of its bytes, in hex, or why it has none: GONE, NO_FILE (a
    folder or a pipe), UNREADABLE. The remembered one is trusted for the same size and time in ns.
    What lies at an address such as s3://… is known by its ETag and size, which are asked each time.

    Raises:
        SourceError: nothing can be learned of an address; names it.

    """
    waiting = iter(files)
    with closing(_Remembered(lake)) as remembered, _threads() as threads:
        while some := list(islice(waiting, _AT_ONCE)):
            yield from zip(some, _hold(some, remembered, threads), strict=True)


def content_fingerprint(lake: Lake, files: Iterable[str]) -> str:
    """One text for many files, which differs when a name or what one of them holds does."""
    return fingerprint_of(contents(lake, files))


def fingerprint_of(held: Iterable[tuple[str, str]]) -> str:
    """One text for the names of many places and what each holds."""
    digest = hashlib.sha256()
    for name, content in held:
        digest.update(os.fsencode(name) + f"\x1f{content}\x1e".encode())
    return digest.hexdigest()[:16]


def forget_contents(lake: Lake) -> None:
    """Have every file read again, also one of the same size and time.

    Raises:
        LakeError: what is remembered cannot be removed.

    """
    try:
        lake.contents.unlink(missing_ok=True)
    except OSError as error:
        raise LakeError(
            f"{lake.contents}: cannot be removed: {error.strerror}; remove it yourself"
        ) from None


def _hold(files: list[str], remembered: "_Remembered", threads: Executor) -> list[str]:
    looks = dict(zip(files, _spread(_look, files, threads), strict=True))
    found = {file: look for file, look in looks.items() if isinstance(look, str)}
    found |= remembered.hashes_of(
        {f: look for f, look in looks.items() if not isinstance(look, str)}
    )
    unknown = [file for file in looks if file not in found]
    hashed = dict(zip(unknown, _spread(_hash, unknown, threads), strict=True))
    remembered.note({file: one for file, one in hashed.items() if one[0] is not None})
    found |= {file: hash for file, (_, hash) in hashed.items()}
    return [found[file] for file in files]


def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(_THREADS, count_cores()))


def _spread(ask: Callable[[str], T], files: list[str], threads: Executor) -> list[T]:
    """What is asked of each file; to hand over each alone would cost more than to look at it."""
    size = 1 if any("://" in file for file in files) else max(1, min(500, len(files) // _THREADS))
    parts = [files[start : start + size] for start in range(0, len(files), size)]
    return [one for part in threads.map(lambda part: list(map(ask, part)), parts) for one in part]


def _look(file: str) -> Look | str:
    """The size and time of a local file; of all else, what stands in place of a hash."""
    if "://" in file:
        return remote_content(file) or GONE
    try:
        found = os.stat(file)  # noqa: PTH116 - of millions, a Path costs more than the look
    except (FileNotFoundError, NotADirectoryError):
        return GONE
    except (OSError, ValueError):  # a name that is too long, or none
        return UNREADABLE
    return (found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else NO_FILE


def _hash(file: str) -> tuple[Look | None, str]:
    """The hash of a file, and the look by which it may be remembered; None while it is written."""
    before = _look(file)
    if isinstance(before, str):
        return None, before
    if abs(time.time() - before[1] / 1e9) < _TICK:  # the next writer must not get this time again
        time.sleep(_TICK)
        before = _look(file)
    try:
        with open(file, "rb", buffering=0) as opened:  # noqa: PTH123 - a Path costs as much again
            hash = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError:
        return None, UNREADABLE
    return (None if isinstance(before, str) or _look(file) != before else before), hash


class _Remembered:
    """The hashes in `lake/contents.sqlite`, or none where it cannot be opened."""

    def __init__(self, lake: Lake) -> None:
        self._file = lake.contents
        # A lake that is not begun yet stays so: who only asks makes none.
        is_lake = format_file(lake.root).exists()
        self._connection = _open(self._file) if is_lake else None

    def hashes_of(self, looks: dict[str, Look]) -> dict[str, str]:
        """The hashes of those that look as they did."""
        if self._connection is None or not looks:
            return {}
        names = {os.fsencode(file): file for file in looks}
        try:
            rows = self._connection.execute(
                f"select * from files where path in ({', '.join('?' * len(names))})", [*names]
            ).fetchall()
        except sqlite3.DatabaseError as error:
            self._give_up(error)
            return {}
        found = ((names[path], (size, mtime), hash) for path, size, mtime, hash in rows)
        return {file: hash for file, look, hash in found if looks[file] == look}

    def note(self, hashed: dict[str, tuple[Look | None, str]]) -> None:
        if self._connection is None or not hashed:
            return
        rows = [(os.fsencode(file), *(look or ()), hash) for file, (look, hash) in hashed.items()]
        try:
            with self._connection:
                self._connection.executemany("replace into files values (?, ?, ?, ?)", rows)
        except sqlite3.DatabaseError as error:
            self._give_up(error)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _give_up(self, error: sqlite3.DatabaseError) -> None:
        """Go on without; a damaged file is removed, where that is allowed."""
        self.close()
        self._connection = None
        if not isinstance(error, sqlite3.OperationalError):  # those: it is locked, or read-only
            _remove(self._file)


def _open(file: Path) -> sqlite3.Connection | None:
    try:
        return open_remembered(file, _TABLE)
    except (sqlite3.DatabaseError, OSError):  # who may only read a lake goes on without
        return None


def _remove(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError:
        return
