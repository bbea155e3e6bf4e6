"""Images that lie in the parquet itself: a column of bytes, read forwards."""

from bisect import bisect_right
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.errors import SourceError
from .img2dataset import Outcomes, open_file
from .rows import READS_AT_ONCE, Refused, Row

_ROWS_AT_ONCE = 64  # rows of encoded images in memory


class ColumnSource:
    """A column of the parquet: binary, or a struct with a field `bytes`.

    Where img2dataset wrote the file, a null has the status and the message that it gave the row.

    Rows come sorted by file and row, so each file is read once, forwards, row group by row group.
    """

    at_once = READS_AT_ONCE

    def __init__(self, column: str) -> None:
        self._column = column
        self._file: ParquetColumn | None = None

    async def read(self, row: Row) -> bytes:
        """The cell's bytes; raises Refused (not_found) where it is null."""
        if self._file is None or self._file.path != row.source_file:
            self._file = ParquetColumn(row.source_file, self._column)
        data = self._file.value(row.source_row)
        if data is None:
            self._file.outcomes.check(row.source_row)
            raise Refused("not_found", f"{self._column} is null")
        return data


class ParquetColumn:
    """The binary values of one column of one parquet file, by ascending row.

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
        self._leaf = self._find_leaf()
        self.outcomes = Outcomes(self._parquet)
        metadata = self._parquet.metadata
        self._starts = [0]
        for group in range(metadata.num_row_groups):
            self._starts.append(self._starts[-1] + metadata.row_group(group).num_rows)
        self._group, self._first, self._values = -1, 0, pa.array([], pa.binary())
        self._batches: Iterator[pa.RecordBatch] = iter(())

    def value(self, row: int) -> bytes | None:
        """The bytes of a row, counted from 0."""
        group = bisect_right(self._starts, row) - 1
        if group != self._group or row < self._first:
            self._open_group(group)
        while row >= self._first + len(self._values):
            self._next_batch()
        value: bytes | None = self._values[row - self._first].as_py()
        return value

    def _find_leaf(self) -> str:
        schema = self._parquet.schema_arrow
        if self._column not in schema.names:
            raise SourceError(f"{self.path}: data: image_column: no column {self._column!r}")
        kind = schema.field(self._column).type
        leaf = leaf_of(self._column, kind)
        if leaf is None:
            raise SourceError(
                f"{self.path}: data: image_column: {self._column} holds {kind}, no bytes"
            )
        return leaf

    def _open_group(self, group: int) -> None:
        self._group, self._first = group, self._starts[group]
        self._values = self._values[:0]
        self._batches = self._parquet.iter_batches(
            batch_size=_ROWS_AT_ONCE, row_groups=[group], columns=[self._leaf]
        )

    def _next_batch(self) -> None:
        self._first += len(self._values)
        try:
            values = next(self._batches).column(0)
        except (OSError, pa.ArrowException, StopIteration) as error:
            where = f"row {self._first} of {self._column}"
            raise SourceError(f"{self.path}: {where} cannot be read: {error}") from None
        self._values = values.field("bytes") if pa.types.is_struct(values.type) else values


def leaf_of(column: str, kind: pa.DataType) -> str | None:
    """What to read of a column that may hold images: it, or its field `bytes`; None: nothing."""
    if _is_bytes(kind):
        return column
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        return f"{column}.bytes"
    return None


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
