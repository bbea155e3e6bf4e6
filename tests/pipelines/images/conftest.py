"""Images that are large in pixels and small in bytes."""

import struct
import zlib
from collections.abc import Callable

import pytest


def make_png(width: int, height: int) -> bytes:
    """A black PNG that is large in pixels and small in bytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width // 8 + 1) * height), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


@pytest.fixture
def png_of() -> Callable[[int, int], bytes]:
    return make_png


@pytest.fixture
def png_bomb() -> bytes:
    """400 million pixels in 50 kB."""
    return make_png(20_000, 20_000)
