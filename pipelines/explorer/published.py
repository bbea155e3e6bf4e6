"""The published build as the explorer reads it: locked, and opened again when another is out."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from ..core.database import first_line, limits, query
from ..core.errors import LakeError
from ..core.lake import Lake

Row = dict[str, Any]

# What a page asks and what a person types run in one instance: neither may read a file, spill, load
# an extension, see Python's variables, or undo any of this.
_LOCKED: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "python_enable_replacements": "false",
    "temp_directory": "",
    "lock_configuration": "true",
}


class Published:
    """Answers queries on the build that is published at that moment; may be asked by threads."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._lock = threading.Lock()
        self._opened: tuple[Path, duckdb.DuckDBPyConnection] | None = None
        self._asking: set[duckdb.DuckDBPyConnection] = set()

    def ask(self, name: str, **values: object) -> list[Row]:
        """The rows of `sql/explore/<name>.sql`, values bound.

        Raises:
            LakeError: nothing is published any more, or what is cannot be read.

        """
        with self.connection() as connection:
            try:
                result = connection.execute(query(f"explore/{name}"), values)
                columns = [column[0] for column in result.description or []]
                rows = result.fetchall()
            except duckdb.Error as error:
                raise LakeError(f"{self._lake.current}: {first_line(error)}") from None
        return [dict(zip(columns, row, strict=True)) for row in rows]

    @contextmanager
    def connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of one's own: queries beside it, and their end, do not touch it."""
        with self._lock:
            cursor = self._current().cursor()
            self._asking.add(cursor)
        try:
            with cursor:
                yield cursor
        finally:
            with self._lock:
                self._asking.discard(cursor)

    def interrupt(self) -> None:
        """End the queries that run: nobody waits for them any more."""
        for cursor in self._asking.copy():
            cursor.interrupt()

    def _current(self) -> duckdb.DuckDBPyConnection:
        path = self._lake.require_build().resolve()
        if self._opened is None or self._opened[0] != path:
            try:
                opened = duckdb.connect(str(path), read_only=True, config=_LOCKED | limits())
            except duckdb.Error as error:
                raise LakeError(f"{path}: cannot be opened: {first_line(error)}") from None
            self._opened = path, opened  # who still reads the one before holds it
        return self._opened[1]
