"""The vector store in SQL: its tables under their names, the vectors as 32-bit floats.

DuckDB's extension `lance` reads them where `memtriggers[lance-sql]` brought the one that fits; else
they come through Arrow, as a stream. DuckDB itself cannot read the float16 of the stored vectors.
"""

import re
from functools import cache
from importlib.util import find_spec
from typing import Any

import duckdb
import pyarrow as pa

from ...lance.store import VectorStore, import_lance
from .packaged_extensions import find_extension
from .quoting import identifier, literal


def show_tables(connection: duckdb.DuckDBPyConnection, store: VectorStore, text: str) -> None:
    """Make the tables of the store that a query names into temporary views, for this connection.

    A table is read when the query runs, and only the columns and rows that it asks for. Nothing is
    shown where neither the extension nor pylance is installed.

    Args:
        connection: may be read-only.
        store: its tables are named as their folders are: images, "image_vectors-…".
        text: the query.

    """
    named = [path.stem for path in store.root.glob("*.lance") if _names(text, path.stem)]
    extension = find_extension("lance")
    if named and extension is not None:
        connection.load_extension(str(extension))
        for name in named:
            # Names and paths cannot be bound.
            view, path = identifier(name), literal(str(store.path(name)))
            connection.execute(f"create or replace temp view {view} as from {path}")
    elif _is_installed("lance"):
        for name in named:
            connection.register(name, _open_float32(str(store.path(name))))


def _is_installed(package: str) -> bool:
    found = find_spec(package)
    return found is not None and found.origin is not None  # a mere folder has none


def _names(text: str, table: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(table)}(?![\w-])", text) is not None


def _open_float32(path: str) -> Any:
    return _float32_dataset()(path)


@cache
def _float32_dataset() -> Any:
    """The class of a Lance table whose vectors come as 32-bit floats, to whoever scans it."""

    class Float32Dataset(import_lance().LanceDataset):  # type: ignore[misc]
        @property
        def schema(self) -> pa.Schema:
            fields = super().schema
            place = fields.get_field_index("vector")
            if place < 0:
                return fields
            vector = pa.list_(pa.float32(), fields.field(place).type.list_size)
            return fields.set(place, fields.field(place).with_type(vector))

        def scanner(self, columns: list[str] | None = None, **options: Any) -> Any:
            fields = self.schema
            return super().scanner(
                {name: _as_shown(fields.field(name)) for name in columns or fields.names}, **options
            )

    return Float32Dataset


def _as_shown(field: pa.Field) -> str:
    """What Lance computes for a column."""
    if field.name != "vector":
        return str(field.name)
    return f"arrow_cast(vector, 'FixedSizeList({field.type.list_size}, Float32)')"
