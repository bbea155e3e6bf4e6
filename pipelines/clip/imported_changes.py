"""Imported vectors that the files of today do not have: they leave, and others take their place."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...lance.store import VectorStore, one_of
from ..core.database import query
from ..core.lake import Lake
from ..core.origins import Forgetting, show_origins, write_origins
from ..core.stamped_tables import forget_rows
from .vectors import vector_table

_AT_ONCE = 10_000  # vectors in memory, twice

Arrays = Mapping[str, Any]  # (n, d) by the file of metadata beside each


def forget_changed(
    connection: duckdb.DuckDBPyConnection,
    store: VectorStore,
    lake: Lake,
    name: str,
    arrays: Arrays,
    captions: bool,
) -> None:
    """Remove from a table the vectors that are others in the files of today, or in none.

    Read are those alone whose file or row is another than what is noted. Needs the table
    imported_places; a kill at any time leaves what the next run ends the same from.
    """
    _find_origins(connection, lake, name, captions)
    with Forgetting(lambda ids: forget_rows(store, name, one_of(ids))) as forget:
        connection.register("stored_ids", store.sample_ids(name))
        for sample_id in chain(_gone(connection), _differing(connection, store, name, arrays)):
            forget(sample_id)
    write_origins(connection, lake, name, "vector_origins")


def _find_origins(
    connection: duckdb.DuckDBPyConnection, lake: Lake, name: str, captions: bool
) -> None:
    show_origins(connection, lake, name)
    values = {"samples": str(lake.samples), "captions": captions}
    connection.execute(query("embed/origins"), values)


def _gone(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """The samples whose vector came from files that do not have it any more."""
    found = connection.execute(query("embed/vectors_gone"))
    while rows := found.fetchmany(_AT_ONCE):
        yield from (sample_id for (sample_id,) in rows)


def _differing(
    connection: duckdb.DuckDBPyConnection, store: VectorStore, name: str, arrays: Arrays
) -> Iterator[str]:
    """The samples whose stored vector is not the one in the files."""
    dataset = store.dataset(name)  # at this version: offsets are of no other
    connection.register(
        "stored", store.reader(name, ["sample_id", "_rowoffset"], None, dataset.version)
    )
    found = connection.execute(query("embed/vectors_to_compare"))
    while rows := found.fetchmany(_AT_ONCE):
        stored = dataset.take([row[1] for row in rows], columns=["vector", "status"])
        is_same = _same(stored, _read(rows, arrays))
        yield from (row[0] for row, same in zip(rows, is_same, strict=True) if not same)


def _read(rows: list[tuple[Any, ...]], arrays: Arrays) -> pa.Table:
    """The vectors of the files, as they would be stored."""
    vectors = np.stack([arrays[file][row] for _, _, file, row in rows]).astype(np.float32)
    return vector_table([row[0] for row in rows], vectors)


def _same(stored: pa.Table, wanted: pa.Table) -> NDArray[np.bool_]:
    """(n,) whether both have the same status and the same bits."""
    statuses = [np.array(table["status"].to_pylist()) for table in (stored, wanted)]
    bits = [_bits(table["vector"]) for table in (stored, wanted)]
    same: NDArray[np.bool_] = (statuses[0] == statuses[1]) & (bits[0] == bits[1]).all(axis=1)
    return same


def _bits(column: pa.ChunkedArray) -> NDArray[np.uint16]:
    """(n, d) the bits of float16 vectors; zeros where there is none."""
    length, bits = column.type.list_size, np.zeros((len(column), column.type.list_size), np.uint16)
    there = np.asarray(column.is_valid())
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    bits[there] = flat.reshape(-1, length).view(np.uint16)
    return bits
