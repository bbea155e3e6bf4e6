"""Images that lie where the rows do: in a column of parquet or Arrow, or in tars."""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from tarfile import TarError, TarInfo
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.errors import SourceError
from ..formats.arrow import ArrowFile
from ..formats.registry import PARQUET, format_of
from ..formats.streams import open_file
from ..formats.tars import Tar, is_image, key_and_column
from .files import read_below
from .img2dataset import Outcomes, TarBeside
from .rows import READS_AT_ONCE, Cell, Refused, Row

_ROWS_AT_ONCE = 64  # rows of encoded images in memory


class Images(Protocol):
    """The images of one file, by ascending row."""

    path: str

    def read(self, row: int) -> Cell:
        """What the file has of a row's image; raises Refused where that says why there is none."""
        ...


class ColumnSource:
    """A column of parquet or Arrow (bytes, or a struct with a field `bytes`), or tars.

    Rows come sorted by file and row, so each file is read once, forwards.
    """

    at_once = READS_AT_ONCE

    def __init__(self, column: str | None, root: Path | None, max_bytes: int) -> None:
        self._column, self._root, self._max_bytes = column, root, max_bytes
        self._file: Images | None = None

    async def read(self, row: Row) -> bytes:
        """The image's bytes; where a struct has none, those of the file at its `path`.

        Raises:
            Refused: not_found, too_large, unreadable, or what img2dataset says of the row.
            SourceError: the file cannot be read, or has no such column.

        """
        return self.image_of(row, self.cell(row))

    def cell(self, row: Row) -> Cell:
        """What the row's own file has of the image; raises as `read` does."""
        if self._file is None or self._file.path != row.source_file:
            self._file = open_images(row.source_file, self._column, self._max_bytes)
        return self._file.read(row.source_row)

    def image_of(self, row: Row, cell: Cell) -> bytes:
        """The image of a row's cell, perhaps from the file that it names; raises Refused."""
        if cell.data is not None:
            return cell.data
        if cell.path:
            root = self._root or Path(row.source_file).parent
            return read_below(root.resolve(), cell.path, self._max_bytes)
        raise Refused("not_found", f"{self._column} is null")


def open_images(path: str, column: str | None, max_bytes: int) -> Images:
    """The images of a file of rows: in a column of it, in itself as a tar, or in one beside it."""
    form = format_of(path).name
    if form == "tar":
        return TarImages(path, column, max_bytes)
    if column is None:
        return TarBeside(path, max_bytes)
    if form == "arrow":
        return ArrowColumn(path, column)
    if form == PARQUET:
        return ParquetColumn(path, column)
    raise SourceError(
        f"{path}: data: image_column: {form} holds no bytes; name paths or addresses as url_column"
    )


class ParquetColumn:
    """A column of one parquet file, by ascending row.

    Where img2dataset wrote the file, a null has the status and the message that it gave the row.

    Raises:
        SourceError: the file cannot be read, or has no such column of bytes.

    """

    def __init__(self, path: str, column: str) -> None:
        self.path, self._column = path, column
        try:
            # Without pre-buffering, or a whole row group of images would lie in memory.
            self._parquet = pq.ParquetFile(open_file(path), pre_buffer=False, buffer_size=1 << 20)
        except (OSError, pa.ArrowException) as error:
            raise SourceError(f"{path}: cannot be read: {error}") from None
        self._leaves = _leaves(path, self._parquet.schema_arrow, column)
        self.outcomes = Outcomes(self._parquet)
        metadata = self._parquet.metadata
        self._starts = [0]
        for group in range(metadata.num_row_groups):
            self._starts.append(self._starts[-1] + metadata.row_group(group).num_rows)
        self._group, self._first = -1, 0
        self._values: pa.Array = pa.array([], pa.binary())
        self._batches: Iterator[pa.RecordBatch] = iter(())

    def read(self, row: int) -> Cell:
        """What the file has of a row's image."""
        cell = _cell(self._value(row))
        if cell.data is None and not cell.path:
            self.outcomes.check(row)
        return cell

    def value(self, row: int) -> bytes | None:
        """The bytes of a row, counted from 0."""
        return _cell(self._value(row)).data

    def _value(self, row: int) -> object:
        group = bisect_right(self._starts, row) - 1
        if group != self._group or row < self._first:
            self._open_group(group)
        while row >= self._first + len(self._values):
            self._next_batch()
        value: object = self._values[row - self._first].as_py()
        return value

    def _open_group(self, group: int) -> None:
        self._group, self._first = group, self._starts[group]
        self._values = self._values[:0]
        self._batches = self._parquet.iter_batches(
            batch_size=_ROWS_AT_ONCE, row_groups=[group], columns=self._leaves
        )

    def _next_batch(self) -> None:
        self._first += len(self._values)
        try:
            self._values = next(self._batches).column(0)
        except (OSError, pa.ArrowException, StopIteration) as error:
            where = f"row {self._first} of {self._column}"
            raise Refused("unreadable", f"{self.path}: {where} cannot be read: {error}") from None


class ArrowColumn:
    """A column of one Arrow file or stream, by ascending row."""

    def __init__(self, path: str, column: str) -> None:
        self.path, self._column = path, column
        self._open()
        _leaves(path, self._schema, column)

    def _open(self) -> None:
        opened = ArrowFile(self.path)
        self._schema, self._batches, self._first = opened.schema, iter(opened), 0
        self._values: pa.Array = pa.array([], pa.binary())

    def read(self, row: int) -> Cell:
        """What the file has of a row's image."""
        if row < self._first:
            self._open()
        while row >= self._first + len(self._values):
            try:
                self._first, found = next(self._batches)
            except (OSError, pa.ArrowException, StopIteration) as error:
                raise Refused("unreadable", f"row {row}: {error}") from None
            self._values = found.column(self._column)
        return _cell(self._values[row - self._first].as_py())


class TarImages:
    """The images of a tar, by ascending row: the keys in their order.

    Where a key has several pictures, the study names one by its extension.
    """

    def __init__(self, path: str, column: str | None, max_bytes: int) -> None:
        self.path, self._column, self._max_bytes = path, column, max_bytes
        self._open()

    def _open(self) -> None:
        self._tar, self._next = Tar(self.path), 0
        self._keys = groupby(self._tar, lambda member: key_and_column(member.name)[0])

    def read(self, row: int) -> Cell:
        """The image of a row; raises Refused."""
        if row < self._next:
            self._open()
        for key, members in self._keys:
            self._next += 1
            if self._next <= row:
                continue
            for member in members:
                if is_image(member.name, self._column):
                    return Cell(self._whole(member), None)
            wanted = "picture" if self._column is None else self._column
            raise Refused("not_found", f"{key} has no {wanted}")
        raise Refused("unreadable", f"{self.path}: {self._tar.problem or 'ends'} before row {row}")

    def _whole(self, member: TarInfo) -> bytes:
        if member.size > self._max_bytes:
            raise Refused("too_large", f"{member.size:,} bytes; at most {self._max_bytes:,}")
        if not self._tar.is_whole(member):
            raise Refused("unreadable", f"{self.path}: ends within {member.name}")
        try:
            return self._tar.read(member)
        except TarError as error:
            raise Refused("unreadable", f"{self.path}: {error}") from None


def _leaves(path: str, schema: pa.Schema, column: str) -> list[str]:
    """What to read of a column: it, or the fields `bytes` and `path`."""
    if column not in schema.names:
        raise SourceError(f"{path}: data: image_column: no column {column!r}")
    kind = schema.field(column).type
    leaf = leaf_of(column, kind)
    if leaf is None:
        raise SourceError(f"{path}: data: image_column: {column} holds {kind}, no bytes")
    has_path = pa.types.is_struct(kind) and kind.get_field_index("path") >= 0
    return [leaf, f"{column}.path"] if has_path else [leaf]


def leaf_of(column: str, kind: pa.DataType) -> str | None:
    """What to read of a column that may hold images: it, or its field `bytes`; None: nothing."""
    if _is_bytes(kind):
        return column
    if pa.types.is_struct(kind) and (place := kind.get_field_index("bytes")) >= 0:
        return f"{column}.bytes" if _is_bytes(kind.field(place).type) else None
    return None


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _cell(value: object) -> Cell:
    if isinstance(value, dict):
        return Cell(value.get("bytes"), value.get("path"))
    return Cell(value if isinstance(value, bytes) else None, None)
