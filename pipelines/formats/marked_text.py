"""Text that is UTF-8 throughout: each byte that is not is a character that nobody uses.

pyarrow cannot give a row of csv to who asks about it where the row is no UTF-8.
"""

import codecs
import io
import re
from typing import Any

import pyarrow as pa

_PIECE = 1 << 20
_TO_MARKS = {0xDC00 + byte: 0xF700 + byte for byte in range(0x80, 0x100)}
_TO_BYTES = {0xF700 + byte: 0xDC00 + byte for byte in range(0x80, 0x100)}
_MARK = re.compile("[\uf780-\uf7ff]")


class MarkedText(io.RawIOBase):
    """The bytes of a stream with marks in place of those that are no UTF-8."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream, self._waiting = stream, b""
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._has_marks = False

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; returns the number of bytes."""
        while not self._waiting:
            piece = self._stream.read(_PIECE)
            self._waiting = self._marked(self._decoder.decode(piece, final=not piece))
            if not piece:
                break
        n = min(len(buffer), len(self._waiting))
        buffer[:n], self._waiting = self._waiting[:n], self._waiting[n:]
        return n

    def _marked(self, text: str) -> bytes:
        try:
            return text.encode()
        except UnicodeEncodeError:
            self._has_marks = True
            return text.translate(_TO_MARKS).encode()

    def unmarked(self, values: pa.Array) -> pa.Array:
        """Values of bytes as they were before."""
        if not self._has_marks:
            return values
        return pa.array(
            [None if v is None else _unmarked(v) for v in values.to_pylist()], pa.binary()
        )


def _unmarked(value: bytes) -> bytes:
    return value.decode().translate(_TO_BYTES).encode("utf-8", "surrogateescape")


def unmarked_text(text: str) -> str:
    """A text in which the bytes that are no UTF-8 are escaped."""
    return _MARK.sub(lambda mark: f"\\x{ord(mark[0]) - 0xF700:02x}", text)
