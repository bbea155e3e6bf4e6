"""JSON: an object a line (.jsonl, .ndjson), or one array of objects (.json)."""

import json
from collections.abc import Iterator
from io import BufferedReader
from itertools import islice
from typing import Any

from ..core.errors import SourceError
from .rows import ODD, Lost, Rows, printable, rows_of
from .streams import head_of, open_bytes, problem_of

_LONGEST = 1 << 24  # bytes of a line
_SHOWN = 200  # characters of a line that cannot be read
_CHUNK = 1 << 20
_SPACE = " \t\r\n"


def open_rows(path: str) -> Rows:
    """The rows of a file of JSON; raises SourceError where it is none of objects."""
    read = _elements if head_of(path).lstrip()[:1] == b"[" else _lines
    rows = rows_of(lambda: read(path))
    if not rows.types and (lost := next(iter(islice(read(path), 1)), None)):
        reason = printable(lost.reason) if isinstance(lost, Lost) else "an object without a key"
        raise SourceError(f"{path}: is no JSON of objects ({reason}); take it out of [data] rows")
    return rows


def _lines(path: str) -> Iterator[dict[str, Any] | Lost]:
    with open_bytes(path) as stream:
        for line in _whole_lines(stream):
            if isinstance(line, Lost):
                yield line
            elif line.strip():
                yield _parse(line)


def _whole_lines(stream: BufferedReader) -> Iterator[bytes | Lost]:
    while line := stream.readline(_LONGEST):
        if not line.endswith(b"\n") and problem_of(stream):
            break
        if len(line) < _LONGEST or line.endswith(b"\n"):
            yield line
        else:
            while (rest := stream.readline(_LONGEST)) and not rest.endswith(b"\n"):
                pass
            yield Lost(f"a line of more than {_LONGEST:,} bytes")
    if problem := problem_of(stream):
        yield Lost(problem)


def _parse(line: bytes) -> dict[str, Any] | Lost:
    text = line.decode("utf-8-sig", ODD).strip()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Lost(f"{error}: {text[:_SHOWN]}")
    return _object(value)


def _object(value: Any) -> dict[str, Any] | Lost:
    if not isinstance(value, dict):
        return Lost(f"no object: {str(value)[:_SHOWN]}")
    return {printable(name): one for name, one in value.items()}


def _elements(path: str) -> Iterator[dict[str, Any] | Lost]:
    """The objects of one array, read a piece at a time."""
    decode = json.JSONDecoder().raw_decode
    with open_bytes(path) as stream:
        text, is_end = stream.read(_CHUNK).decode("utf-8-sig", ODD), False
        text = text.lstrip()[1:]
        while True:
            text = text.lstrip(_SPACE + ",")
            try:
                if text.startswith("]"):
                    return
                value, end = decode(text)
                if end == len(text) and not is_end:
                    raise ValueError  # a number may go on
            except (ValueError, RecursionError) as error:
                more = b"" if is_end or len(text) > _LONGEST else stream.read(_CHUNK)
                if not more:
                    yield Lost(f"the array breaks off: {error}: {text[:_SHOWN]}")
                    return
                # A character that a piece ends in is whole in the next.
                text += _whole(more, stream).decode("utf-8", ODD)
                continue
            text = text[end:]
            yield _object(value)


def _whole(piece: bytes, stream: BufferedReader) -> bytes:
    """A piece with the rest of the character that it ends in."""
    while (piece[-1] & 0x80) and (more := stream.read(1)):
        piece += more
    return piece
