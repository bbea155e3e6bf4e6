"""Files as streams of bytes, here or at an address, whatever they are compressed with."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pyarrow as pa
from pyarrow import fs

from ..core.errors import SourceError

_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bz2",
    b"\x04\x22\x4d\x18": "lz4",
}
_HEAD = 1 << 16
_PIECE = 1 << 14  # bytes that are lost before the place where a compressed file breaks off


def open_file(path: str) -> pa.NativeFile:
    """A file for reading, on this machine or at an address such as s3://…."""
    if "://" not in path:
        return pa.OSFile(path)
    system, inner = fs.FileSystem.from_uri(path)
    return system.open_input_file(inner)


class Bytes(io.RawIOBase):
    """The bytes of a file; where it breaks off, that is its end, and `problem` says why."""

    def __init__(self, stream: pa.NativeFile) -> None:
        self._stream = stream
        self.problem: str | None = None

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; returns the number of bytes."""
        try:
            n = min(len(buffer), _PIECE)
            data = b"" if self.problem else self._stream.read(n)
        except (OSError, pa.ArrowException) as error:
            data, self.problem = b"", f"breaks off: {str(error).splitlines()[0]}"
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def open_bytes(path: str) -> Iterator[io.BufferedReader]:
    """The bytes of a file from its start, decompressed; where it breaks off, that is its end.

    Raises:
        SourceError: it cannot be opened.

    """
    try:
        file = open_file(path)
        kind = compression_of(file.read(4))
        file.seek(0)
    except (OSError, pa.ArrowException) as error:
        raise unreadable(path, error) from None
    with file:
        stream = file if kind is None else pa.CompressedInputStream(file, kind)
        yield io.BufferedReader(Bytes(stream), _PIECE)


def problem_of(stream: io.BufferedReader) -> str | None:
    """Why a stream that has come to its end broke off; None: it did not."""
    return cast(Bytes, stream.raw).problem


def compression_of(head: bytes) -> str | None:
    """What the first bytes of a file say that it is compressed with."""
    return next((kind for mark, kind in _COMPRESSED.items() if head.startswith(mark)), None)


def head_of(path: str, n: int = _HEAD) -> bytes:
    """The first bytes of a file, decompressed."""
    with open_bytes(path) as stream:
        head = stream.read(n)
        if not head and (problem := problem_of(stream)):
            raise unreadable(path, OSError(problem))
        return head


WAY_OUT = (
    "fetch it again, take it out of [data] rows, or pass over such files with "
    'on_bad_file = "skip" there'
)


def unreadable(path: str, error: Exception) -> SourceError:
    """The error of a file that cannot be opened."""
    reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
    return SourceError(f"{path}: cannot be read: {reason}; {WAY_OUT}")
