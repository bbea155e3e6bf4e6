"""Parquet by pyarrow: the rows that DuckDB does not read, of a broken page or an odd text."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from .arrow import duckdb_type, field_of
from .rows import N_AT_ONCE, Field, Rows, batch, broken
from .streams import open_file, unreadable


def open_rows(path: str) -> Rows:
    """The rows of a parquet file; those of a row group from a broken page on are lost."""
    try:
        parquet = pq.ParquetFile(open_file(path))
        schema, n_rows = parquet.schema_arrow, parquet.metadata.num_rows
    except (OSError, pa.ArrowException) as error:
        raise unreadable(path, error) from None
    types = {name: duckdb_type(kind) for name, kind in zip(schema.names, schema.types, strict=True)}
    return Rows(types, lambda fields: _read(path, parquet, fields), n_rows)


def _read(path: str, parquet: pq.ParquetFile, fields: list[Field]) -> Iterator[pa.RecordBatch]:
    names = list(dict.fromkeys(field[0] for field in fields))
    start = 0
    for group in range(parquet.metadata.num_row_groups):
        end = start + parquet.metadata.row_group(group).num_rows
        first = start
        try:
            for found in parquet.iter_batches(N_AT_ONCE, row_groups=[group], columns=names):
                numbers = pa.array(range(first, first + len(found)), pa.int64())
                yield batch([field_of(found, field) for field in fields], numbers)
                first += len(found)
        except (OSError, pa.ArrowException) as error:
            yield broken(fields, first, end - first, f"row group {group} is damaged: {error}")
        start = end
