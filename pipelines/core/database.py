"""DuckDB connections, and the queries of `sql/` by name."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from .errors import LakeError, QueryError
from .lake import Lake, replacing
from .quoting import identifier, literal
from .stamp import METADATA_KEY, Stamp

if TYPE_CHECKING:
    import pyarrow as pa

_LIMITS = {"MEMTRIGGERS_MEMORY_LIMIT": "memory_limit", "MEMTRIGGERS_THREADS": "threads"}

SQL = Path(__file__).resolve().parents[2] / "sql"
MACROS = SQL.parent / "models" / "macros"


@lru_cache
def query(name: str) -> str:
    """The text of `sql/<name>.sql`."""
    return (SQL / f"{name}.sql").read_text(encoding="utf-8")


@lru_cache
def dbt_macro(name: str) -> str:
    """The SQL that makes a macro of dbt's one of DuckDB's, so that a rule is written once.

    The macro is an expression of its parameters, and of no other macro.
    """
    text = (MACROS / f"{name}.sql").read_text(encoding="utf-8")
    found = re.search(r"{% macro (\w+\([\w, ]+\)) -%}(.+){%- endmacro %}", text, re.DOTALL)
    assert found is not None, name
    signature, expression = found.groups()
    expression = re.sub(r"{{ (\w+) }}", r"\1", expression)
    return f"create or replace temp macro {signature} as {expression}"


def define_addresses(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the macros address_of(url) and domain_of(url), which dbt has, too."""
    connection.execute(dbt_macro("address_of"))
    connection.execute(dbt_macro("domain_of"))


@contextmanager
def connect(lake: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    """A working database in memory that spills into the lake, within the limits of `build`.

    Raises:
        LakeError: a limit cannot be read; names its variable.

    """
    lake.scratch.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(
        config={"temp_directory": str(lake.scratch), "preserve_insertion_order": False}
    )
    _set_limits(connection)
    connection.execute("set enable_progress_bar = false")
    with _interruptible(connection):
        yield connection


def limits() -> dict[str, str]:
    """The settings that the environment limits DuckDB by."""
    return {s: os.environ[variable] for variable, s in _LIMITS.items() if variable in os.environ}


def _set_limits(connection: duckdb.DuckDBPyConnection) -> None:
    for variable, setting in _LIMITS.items():
        if variable in os.environ:
            try:
                connection.execute(f"set {setting} = {literal(os.environ[variable])}")
            except duckdb.Error as error:
                raise LakeError(f"{variable}: {first_line(error)}") from None


@contextmanager
def connect_published(lake: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published database, read-only: readers never meet a writer."""
    build = lake.require_build()
    try:
        connection = duckdb.connect(str(build), read_only=True)
    except duckdb.Error as error:
        raise LakeError(f"{build}: cannot be opened: {first_line(error)}") from None
    with _interruptible(connection):
        yield connection


@contextmanager
def _interruptible(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Close the connection at the end, and let Ctrl-C in a query be what it is.

    DuckDB turns it into a RuntimeError, and closing would wait for the query's end.
    """
    with connection:
        try:
            yield
        except RuntimeError as error:
            if not isinstance(error.__cause__, KeyboardInterrupt):
                raise
            connection.interrupt()
            raise KeyboardInterrupt from None


def write_parquet(
    connection: duckdb.DuckDBPyConnection, relation: str, path: Path, stamp: Stamp
) -> int:
    """Write a table of the connection to one parquet file, stamped; returns its number of rows."""
    with replacing(path) as unfinished:
        connection.execute(
            f"copy {identifier(relation)} to {literal(str(unfinished))} (format parquet, "
            f"compression zstd, kv_metadata {{{METADATA_KEY}: {literal(stamp.text)}}})"
        )
    return count_rows(connection, identifier(relation))


def write_stamped(table: "pa.Table", path: Path, stamp: Stamp, **metadata: str) -> None:
    """Write an Arrow table to one parquet file in one step, stamped; `metadata` goes beside it."""
    import pyarrow.parquet as pq

    stamped = table.replace_schema_metadata({METADATA_KEY: stamp.text, **metadata})
    with replacing(path) as unfinished:
        pq.write_table(stamped, unfinished, compression="zstd")


def count_rows(connection: duckdb.DuckDBPyConnection, relation: str) -> int:
    """The number of rows of what may stand after `from`: a text of ours, never a user's."""
    row = connection.execute(f"select count(*) from {relation}").fetchone()
    assert row is not None
    return int(row[0])


def first_line(error: Exception) -> str:
    """The first line of a DuckDB message, which is the part that a user can read."""
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if line), type(error).__name__)


def run_query(
    connection: duckdb.DuckDBPyConnection, text: str, values: Mapping[str, object] | None = None
) -> duckdb.DuckDBPyConnection:
    """Execute a user's SQL; raises QueryError with DuckDB's own words."""
    try:
        result = connection.execute(text, dict(values or {}))
    except duckdb.Error as error:
        raise QueryError(str(error).strip()) from None
    if result is None:  # whatever DuckDB's types say, for a text without a statement
        raise QueryError("the query is empty")
    return result
