"""sql: a query on the published tables, read-only, as a table, csv, json or parquet."""

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import duckdb

from .database import connect_published, query, run_query
from .errors import QueryError
from .lake import Lake, replacing
from .terminal import print_table

_SHOWN = 1_000
_BATCH = 10_000


def tables_query() -> str:
    """The query behind `sql --tables`."""
    return query("tables")


def print_query(lake: Lake, text: str, form: str, output: Path | None) -> None:
    """Run a query on the published database and print or write its rows.

    Raises:
        QueryError: DuckDB refused the query, or the form needs a file.
        LakeError: nothing is published yet.

    """
    if form == "parquet" and output is None:
        raise QueryError("parquet is not text: say where to write it with --output FILE")
    with connect_published(lake) as connection:
        result = run_query(connection, text)
        if result.description is None:
            return
        if output is None:
            _WRITERS[form](result, sys.stdout)
            return
        with replacing(output) as unfinished:
            if form == "parquet":
                _write_parquet(result, unfinished)
            else:
                with unfinished.open("w", encoding="utf-8", newline="") as file:
                    _WRITERS["csv" if form == "table" else form](result, file)


def _columns(result: duckdb.DuckDBPyConnection) -> list[str]:
    return [column[0] for column in result.description or []]


def _write_table(result: duckdb.DuckDBPyConnection, file: TextIO) -> None:
    rows = result.fetchmany(_SHOWN + 1)
    print_table(_columns(result), rows[:_SHOWN])
    if len(rows) > _SHOWN:
        print(f"… more than {_SHOWN:,} rows; see all of them with --format csv", file=sys.stderr)


def _write_csv(result: duckdb.DuckDBPyConnection, file: TextIO) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_columns(result))
    while rows := result.fetchmany(_BATCH):
        writer.writerows(rows)


def _write_json(result: duckdb.DuckDBPyConnection, file: TextIO) -> None:
    columns, separator = _columns(result), "["
    while rows := result.fetchmany(_BATCH):
        for row in rows:
            record = json.dumps(dict(zip(columns, row, strict=True)), default=str)
            file.write(f"{separator}\n  {record}")
            separator = ","
    file.write("[]\n" if separator == "[" else "\n]\n")


def _write_parquet(result: duckdb.DuckDBPyConnection, path: Path) -> None:
    import pyarrow.parquet as pq

    reader = result.fetch_record_batch(_BATCH)
    with pq.ParquetWriter(path, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)


_WRITERS: dict[str, Callable[[duckdb.DuckDBPyConnection, TextIO], None]] = {
    "table": _write_table,
    "csv": _write_csv,
    "json": _write_json,
}
