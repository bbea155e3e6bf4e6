"""Files as streams of bytes, here or at an address, whatever they are compressed with."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

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


def open_file(path: str) -> pa.NativeFile:
    """A file for reading, on this machine or at an address such as s3://…."""
    if "://" not in path:
        return pa.OSFile(path)
    system, inner = fs.FileSystem.from_uri(path)
    return system.open_input_file(inner)


@contextmanager
def open_bytes(path: str) -> Iterator[BinaryIO]:
    """The bytes of a file from its start, decompressed.

    Raises:
        SourceError: it cannot be opened.

    """
    try:
        with open_file(path) as file:
            kind = compression_of(file.read(4))
            file.seek(0)
            stream = file if kind is None else pa.CompressedInputStream(file, kind)
            yield io.BufferedReader(cast(io.RawIOBase, stream), _HEAD)
    except (OSError, pa.ArrowException) as error:
        raise unreadable(path, error) from None


def compression_of(head: bytes) -> str | None:
    """What the first bytes of a file say that it is compressed with."""
    return next((kind for mark, kind in _COMPRESSED.items() if head.startswith(mark)), None)


def head_of(path: str, n: int = _HEAD) -> bytes:
    """The first bytes of a file, decompressed."""
    with open_bytes(path) as stream:
        return stream.read(n)


WAY_OUT = (
    "fetch it again, take it out of [data] rows, or pass over such files with "
    'on_bad_file = "skip" there'
)


def unreadable(path: str, error: Exception) -> SourceError:
    """The error of a file that cannot be opened."""
    reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
    return SourceError(f"{path}: cannot be read: {reason}; {WAY_OUT}")
