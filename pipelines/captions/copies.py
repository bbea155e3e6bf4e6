"""Copies of what DuckDB does not read, as parquet of the columns of `source`, by their contents.

A copy is made once for the bytes of a file and the columns that are read. `lake/rows` may be
removed at any time.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.contents import content_fingerprint, contents
from ..core.errors import LakeError
from ..core.lake import Lake
from ..formats import parquet
from ..formats.folders import caption_files, pictures_in
from ..formats.registry import FORMATS, PARQUET
from ..formats.rows import INVALID_UTF8, OBSERVED, ROW, RULE, Rows
from .columns import Column, Columns
from .in_texts import fields_in, texts_in

_LOST = "memtriggers_lost"  # in a copy's metadata
_VERSION = "2"  # another one: copies are made anew
_TEXTS = ("caption", "url", "source_id")  # without one of them a row is not known
Carried = tuple[Column, ...]
"""The columns that the study carries through."""
_OPEN = {one.name: one.open_rows for one in FORMATS} | {PARQUET: parquet.open_rows}


def open_rows(path: str, format_name: str) -> Rows:
    """The rows of a file, by what reads its format and is not DuckDB."""
    read = _OPEN[format_name]
    assert read is not None
    return read(path)


class Lost(NamedTuple):
    """How many rows of a file cannot be read, and why the first of them."""

    n: int
    reason: str | None

    def and_those_of(self, found: pa.RecordBatch) -> "Lost":
        """With those of one more batch."""
        reasons = [r for r in found.column(OBSERVED).to_pylist() if r is not None]
        return Lost(self.n + len(reasons), self.reason or next(iter(reasons), None))


class Copies:
    """The copies in a lake."""

    def __init__(self, lake: Lake) -> None:
        self._lake, self._folder = lake, lake.rows
        self._names = (
            {one.name for one in os.scandir(self._folder)} if self._folder.is_dir() else set()
        )

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._names)

    def paths(self, files: Iterable[tuple[str, str, Columns, Carried]]) -> Iterator[Path]:
        """Where the copy of each file lies, or would: by its contents and what is read of it."""
        some = list(files)
        held = contents(self._lake, (path for path, *_ in some))
        for (path, form, columns, more), (_, content) in zip(some, held, strict=True):
            if form == "folder":
                content = _of_folder(self._lake, path)
            text = "\x1f".join((_VERSION, content, form, repr(sorted(columns.items())), repr(more)))
            yield self._folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.parquet"

    def has(self, path: Path) -> bool:
        """Whether a copy is there."""
        return path.name in self._names

    def write(self, copy: Path, rows: Rows, columns: Columns, more: Carried) -> None:
        """Write a copy, under another name until it is whole."""
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = copy.with_suffix(".tmp")
        read = {role: column for role, column in columns.items() if column is not None}
        read |= {f"m{n}": column for n, column in enumerate(more)}
        try:
            write_rows(partial, rows.read([column.field for column in read.values()]), read)
            partial.replace(copy)
        except OSError as error:
            raise LakeError(f"{copy}: cannot be written: {error.strerror or error}") from None
        finally:
            partial.unlink(missing_ok=True)
        self._names.add(copy.name)

    def keep(self, used: Iterable[str | None]) -> None:
        """Remove all copies but those that are used."""
        for name in self._names - {Path(copy).name for copy in used if copy is not None}:
            (self._folder / name).unlink(missing_ok=True)


def _of_folder(lake: Lake, folder: str) -> str:
    names = "\x1e".join(pictures_in(folder)[0])
    return f"{names}\x1f{content_fingerprint(lake, caption_files(folder))}"


def write_rows(path: Path, batches: Iterator[pa.RecordBatch], columns: dict[str, Column]) -> None:
    """Write rows as they are read in SQL: texts that are UTF-8, captions perhaps in lists."""
    writer, lost = None, Lost(0, None)
    for found in batches:
        table = _readable(found, columns)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_batch(table)
        lost = lost.and_those_of(found)
    if writer is None:
        table = _readable(pa.RecordBatch.from_pydict(_nothing(len(columns))), columns)
        writer = pq.ParquetWriter(path, table.schema)
    writer.add_key_value_metadata({_LOST: json.dumps(lost)})
    writer.close()


def lost_rows(copy: Path) -> Lost:
    """The rows that the copied file could not give."""
    metadata = pq.read_metadata(copy).metadata
    return Lost(*json.loads(metadata[_LOST.encode()]))


def _nothing(n: int) -> dict[str, pa.Array]:
    empty = {f"c{place}": pa.array([], pa.string()) for place in range(n)}
    return empty | {
        ROW: pa.array([], pa.int64()),
        RULE: pa.array([], pa.string()),
        OBSERVED: pa.array([], pa.string()),
    }


def _readable(found: pa.RecordBatch, columns: dict[str, Column]) -> pa.RecordBatch:
    """The batch with texts alone that can be read, and with what makes a row unreadable."""
    arrays, odd = {}, dict[str, dict[int, str]]()
    for (name, column), values in zip(columns.items(), found.columns, strict=False):
        if column.is_list and not column.is_list_text:
            arrays[name] = _lists(values)
            continue
        arrays[name], odd[name] = texts_of(values, column)
        if column.is_list:
            texts = arrays[name].to_pylist()
            arrays[name] = pa.array([None if t is None else texts_in(t) for t in texts], _LISTS)
    rules, observed = found.column(RULE).to_pylist(), found.column(OBSERVED).to_pylist()
    for name in reversed(_TEXTS):
        for row, text in odd.get(name, {}).items():
            rules[row], observed[row] = INVALID_UTF8, text
    arrays[ROW] = found.column(ROW)
    arrays[RULE], arrays[OBSERVED] = pa.array(rules, pa.string()), pa.array(observed, pa.string())
    return pa.RecordBatch.from_pydict(arrays)


def _lists(values: pa.Array) -> pa.Array:
    lists = (
        None if found is None else [None if one is None else _text(one) for one in found]
        for found in values.to_pylist()
    )
    return pa.array(lists, _LISTS)


_LISTS = pa.list_(pa.large_string())


def _text(value: object) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def texts_of(values: pa.Array, column: Column) -> tuple[pa.Array, dict[int, str]]:
    """What a column holds as texts, and by their places those in which bytes are no UTF-8."""
    texts, odd = _texts(values)
    return fields_in(texts, column.below) if column.below else texts, odd


def _texts(values: pa.Array) -> tuple[pa.Array, dict[int, str]]:
    """The values as texts, the bytes escaped that are not UTF-8, and such texts by their places."""
    if not _is_text(values.type):
        return _as_texts(values), {}
    raw = values.cast(pa.large_binary())
    try:
        return raw.cast(pa.large_string()), {}
    except pa.ArrowInvalid:
        texts = [v and v.decode("utf-8", "backslashreplace") for v in raw.to_pylist()]
        escaped = pa.array(texts, pa.large_string())
        is_odd = zip(raw, escaped.cast(pa.large_binary()), strict=True)
        return escaped, {
            row: texts[row] for row, (before, after) in enumerate(is_odd) if before != after
        }


def _as_texts(values: pa.Array) -> pa.Array:
    try:
        return values.cast(pa.large_string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pa.array(
            [None if v is None else str(v) for v in values.to_pylist()], pa.large_string()
        )


def _is_text(kind: pa.DataType) -> bool:
    is_string = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return bool(is_string or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
