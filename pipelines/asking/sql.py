"""sql: a query on the published tables and the vector store, read-only, in one of four forms."""

import csv
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TextIO

import duckdb

from ...lance.store import VectorStore
from ..core.database import connect_published, run_query
from ..core.errors import QueryError
from ..core.lake import Lake, replacing
from ..core.store_views import show_tables
from ..core.terminal import print_table

_SHOWN = 1_000
_BATCH = 10_000


def print_query(
    lake: Lake, text: str, values: Mapping[str, object], form: str, output: Path | None
) -> None:
    """Run a query on the published database and print or write its rows.

    Raises:
        QueryError: DuckDB refused the query, or the form needs a file.
        LakeError: nothing is published yet.

    """
    with connect_published(lake) as connection:
        show_tables(connection, VectorStore(lake.vectors), text)
        print_rows(run_query(connection, text, values), form, output)


def print_rows(result: duckdb.DuckDBPyConnection, form: str, output: Path | None) -> None:
    """Print the rows of a result, or write them to a file; a statement without rows says nothing.

    Raises:
        QueryError: the form is parquet, which is not text, and there is no file.

    """
    if form == "parquet" and output is None:
        raise QueryError("parquet is not text: say where to write it with --output FILE")
    if result.description is None:
        return
    if output is None:
        _PRINTERS[form](result, sys.stdout)
    else:
        write_rows(result, form, output)


def write_rows(result: duckdb.DuckDBPyConnection, form: str, output: Path) -> int:
    """Write the rows of a result to a file, which appears when whole; returns their number."""
    with replacing(output) as unfinished:
        if form == "parquet":
            return _write_parquet(result, unfinished)
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            return _WRITERS[form](result, file)


def _columns(result: duckdb.DuckDBPyConnection) -> list[str]:
    return [column[0] for column in result.description or []]


def _print_table(result: duckdb.DuckDBPyConnection, file: TextIO) -> None:
    rows = result.fetchmany(_SHOWN + 1)
    print_table(_columns(result), rows[:_SHOWN])
    if len(rows) > _SHOWN:
        print(f"… more than {_SHOWN:,} rows; see all of them with --format csv", file=sys.stderr)


def _write_csv(result: duckdb.DuckDBPyConnection, file: TextIO) -> int:
    writer, n_rows = csv.writer(file, lineterminator="\n"), 0
    writer.writerow(_columns(result))
    while rows := result.fetchmany(_BATCH):
        writer.writerows(rows)
        n_rows += len(rows)
    return n_rows


def _write_json(result: duckdb.DuckDBPyConnection, file: TextIO) -> int:
    columns, n_rows = _columns(result), 0
    while rows := result.fetchmany(_BATCH):
        for row in rows:
            record = json.dumps(dict(zip(columns, row, strict=True)), default=str)
            file.write(f"{',' if n_rows else '['}\n  {record}")
            n_rows += 1
    file.write("\n]\n" if n_rows else "[]\n")
    return n_rows


def _write_parquet(result: duckdb.DuckDBPyConnection, path: Path) -> int:
    import pyarrow.parquet as pq

    reader, n_rows = result.fetch_record_batch(_BATCH), 0
    with pq.ParquetWriter(path, reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch)
            n_rows += batch.num_rows
    return n_rows


_WRITERS: dict[str, Callable[[duckdb.DuckDBPyConnection, TextIO], int]] = {
    "csv": _write_csv,
    "json": _write_json,
    "table": _write_csv,  # a table is for a terminal; in a file it is csv
}
_PRINTERS: dict[str, Callable[[duckdb.DuckDBPyConnection, TextIO], object]] = {
    **_WRITERS,
    "table": _print_table,
}
