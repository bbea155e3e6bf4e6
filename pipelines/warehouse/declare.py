"""Declares the schema `lake` that dbt reads: a view or an empty table for each of its tables."""

from glob import escape
from pathlib import Path

import duckdb

from ..core.database import first_line
from ..core.errors import BuildError
from ..core.lake import Lake
from ..core.quoting import identifier, literal
from ..core.registry import TABLES, LakeTable


def declare_tables(connection: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    """Make the schema `lake`: a view over each file, or an empty typed table where there is none.

    Raises:
        BuildError: a file cannot be read, or misses a column; names the file.

    """
    connection.execute("create schema lake")
    for table in TABLES.values():
        path = None if table.folder is None else lake.parquet(table.folder, table.name)
        if path is not None and path.exists():
            _declare_parquet(connection, table, path)
        elif table.name == "runs" and any(lake.runs.glob("*.json")):
            _declare_runs(connection, table, lake.runs)
        else:
            _declare_empty(connection, table)


def _declare_empty(connection: duckdb.DuckDBPyConnection, table: LakeTable) -> None:
    typed = ", ".join(f"{identifier(column)} {kind}" for column, kind in table.columns.items())
    connection.execute(f"create table lake.{table.name} ({typed})")


def _declare_parquet(connection: duckdb.DuckDBPyConnection, table: LakeTable, path: Path) -> None:
    columns = ", ".join(
        f"cast({identifier(name)} as {kind}) as {identifier(name)}"
        for name, kind in table.columns.items()
    )
    if table.name == "samples":  # with the columns that the study carries through
        columns += f", * exclude ({', '.join(map(identifier, table.columns))})"
    source = f"read_parquet({literal(escape(str(path)))}, union_by_name = true)"
    try:
        connection.execute(f"create view lake.{table.name} as select {columns} from {source}")
    except duckdb.Error as error:
        raise BuildError(
            f"{path}: cannot be read as {table.name}: {first_line(error)}; "
            "remove the file and run: memtriggers refresh"
        ) from None


def _declare_runs(connection: duckdb.DuckDBPyConnection, table: LakeTable, runs: Path) -> None:
    files = literal(f"{escape(str(runs))}/*.json")
    columns = ", ".join(f"{name}: {literal(kind)}" for name, kind in table.columns.items())
    connection.execute(
        f"create view lake.runs as select * from read_json({files}, columns = {{{columns}}}, "
        "format = 'newline_delimited')"
    )
