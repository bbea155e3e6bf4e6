"""Arrow's own files and streams (.arrow, .feather, what `datasets` saves)."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from .rows import Field, Rows, batch, below, broken
from .streams import open_file, unreadable

_FILE = b"ARROW1"


class ArrowFile:
    """The batches of an Arrow file or stream, each with the number of its first row."""

    def __init__(self, path: str) -> None:
        """Raises SourceError where it is neither, or cannot be opened."""
        self.path = path
        try:
            self._file = pa.memory_map(path) if "://" not in path else open_file(path)
            is_file = self._file.read(len(_FILE)) == _FILE
            self._file.seek(0)
            self._is_file = is_file
            self._opened: Any = (pa.ipc.open_file if is_file else pa.ipc.open_stream)(self._file)
        except (OSError, pa.ArrowException) as error:
            raise unreadable(path, error) from None
        self.schema: pa.Schema = self._opened.schema

    def __iter__(self) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Raises pa.ArrowException or OSError where it breaks off."""
        first = 0
        for one in self._all():
            yield first, one
            first += len(one)

    def _all(self) -> Iterator[pa.RecordBatch]:
        if not self._is_file:
            yield from self._opened
            return
        for number in range(self._opened.num_record_batches):
            yield self._opened.get_batch(number)


def open_rows(path: str) -> Rows:
    """The rows of an Arrow file or stream."""
    schema = ArrowFile(path).schema
    types = {name: duckdb_type(kind) for name, kind in zip(schema.names, schema.types, strict=True)}
    return Rows(types, lambda fields: _read(path, fields))


def _read(path: str, fields: list[Field]) -> Iterator[pa.RecordBatch]:
    first = 0
    try:
        for first, found in ArrowFile(path):
            numbers = pa.array(range(first, first + len(found)), pa.int64())
            yield batch([field_of(found, field) for field in fields], numbers)
            first += len(found)
    except (OSError, pa.ArrowException) as error:
        yield broken(fields, first, 1, str(error))


def field_of(found: pa.RecordBatch, field: Field) -> pa.Array:
    """The values of a field: bytes and texts as they are, lists and numbers too."""
    name, *inner = field
    values = found.column(found.schema.names.index(name))
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    for place, part in enumerate(inner):
        if not pa.types.is_struct(values.type):
            return pa.array([below(value, tuple(inner[place:])) for value in values.to_pylist()])
        values = pc.struct_field(values, part)
    return values


def duckdb_type(kind: pa.DataType) -> str:
    """An Arrow type as DuckDB names it, as far as it matters to who looks for columns."""
    if pa.types.is_dictionary(kind):
        return duckdb_type(kind.value_type)
    if pa.types.is_struct(kind):
        inner = ", ".join(f'"{f.name}" {duckdb_type(f.type)}' for f in kind)
        return f"STRUCT({inner})"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return f"{duckdb_type(kind.value_type)}[]"
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return "BLOB"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "VARCHAR"
    if pa.types.is_integer(kind):
        return "BIGINT"
    return "DOUBLE" if pa.types.is_floating(kind) else str(kind).upper()
