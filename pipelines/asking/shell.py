"""`sql` without a query: the shell of DuckDB on the published tables, or a small loop."""

import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator

import click

from ...lance.store import VectorStore
from ..core.database import connect_published, run_query
from ..core.errors import QueryError
from ..core.lake import Lake
from ..core.store_views import show_tables
from .sql import print_rows


def open_shell(lake: Lake) -> None:
    """Become the `duckdb` command line where it is installed; else read statements in a loop.

    Raises:
        LakeError: nothing is published yet.

    """
    # Not the pointer: what it points to may change while the shell is open.
    build = lake.require_build().resolve()
    program = shutil.which("duckdb")
    if program is not None:
        sys.stdout.flush()
        os.execv(program, [program, "-readonly", str(build)])
    _run_loop(lake)


def _run_loop(lake: Lake) -> None:
    if sys.stdin.isatty():
        import readline  # noqa: F401  # gives input() its history and keys

        click.echo("SQL, ended by a semicolon; Ctrl-D leaves. Tables: show tables;")
    with connect_published(lake) as connection:
        for text in _statements():
            try:
                show_tables(connection, VectorStore(lake.vectors), text)
                print_rows(run_query(connection, text), "table", None)
            except QueryError as error:
                click.echo(f"Error: {error}", err=True)


def _statements() -> Iterator[str]:
    """What is typed or piped in, a statement at a time."""
    begun = ""
    while (line := _read_line("  ...> " if begun else "sql> ")) is not None:
        begun += line + "\n"
        if not begun.strip() or sqlite3.complete_statement(begun):
            if begun.strip():
                yield begun
            begun = ""
    if begun.strip():
        yield begun


def _read_line(prompt: str) -> str | None:
    try:
        return input(prompt if sys.stdin.isatty() else "")
    except EOFError:
        return None
