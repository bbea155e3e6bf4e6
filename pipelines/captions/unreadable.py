"""Rows that cannot be read, for which DuckDB refuses their file: they are set aside."""

from collections.abc import Callable
from typing import TypeVar

import duckdb

from ..core.lake import Lake
from ..core.study import Study
from ..formats.registry import PARQUET
from ..formats.rows import INVALID_UTF8, UNREADABLE
from .copies import Copies, open_rows
from .described import read_source_files
from .source import copy_files, create_source, open_files, with_copy
from .source_file import SourceFile

T = TypeVar("T")

_OF_THE_MACHINE = (duckdb.OutOfMemoryException, duckdb.InterruptException)


def read_source(
    connection: duckdb.DuckDBPyConnection,
    study: Study,
    lake: Lake,
    read: Callable[[], T],
    opened: list[SourceFile] | None = None,
) -> T:
    """What `read` makes of the view `source`, which is open, and is read only in there.

    Where DuckDB meets a text that is not UTF-8, or a page that is damaged, every file is looked
    through, and `read` starts over with copies of those that have one. Their rows without a
    readable caption, url or id are in the table unreadable_rows and no longer in `source`; any
    other text has its odd bytes escaped (caf\\xe9). A clean dataset costs nothing. `opened`, what
    `open_source` returned, is brought up to date.

    Raises:
        SourceError: not one row of such a file can be read; names it.

    """
    try:
        return read()
    except duckdb.Error as error:
        if isinstance(error, _OF_THE_MACHINE) or "No space left" in str(error):
            raise
        files = copy_files(read_source_files(study, connection, lake), study, lake)
        odd = [file for file in files if _is_odd(file, connection)]
        if not odd:
            raise
    copies = Copies(lake)
    keys = copies.paths((file.path, file.format, file.columns, file.carried) for file in odd)
    copied = {}
    for file, copy in zip(odd, keys, strict=True):
        copies.write(copy, open_rows(file.path, file.format), file.columns, file.carried)
        copied[file.path] = with_copy(file, copy, study)
    files = [copied.get(file.path, file) for file in files]
    if opened is not None:
        opened[:] = files
    create_source(connection, files)
    return read()


def unreadable_rows(connection: duckdb.DuckDBPyConnection, rows: str) -> dict[str, int]:
    """How many rows of a table cannot be read, by the rule that says so."""
    found = connection.execute(
        f"select rule, count(*) from {rows} where list_contains($rules, rule) group by rule",
        {"rules": [INVALID_UTF8, UNREADABLE]},
    )
    return dict(found.fetchall())


def _is_odd(file: SourceFile, connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether DuckDB refuses a text or a page of the file; it says so for a file, not for a row."""
    if file.copy is not None or file.format != PARQUET or file.n_rows == 0 or file.problem:
        return False
    lengths = ", ".join(f"max(strlen({role}::varchar))" for role in file.columns)
    rows = f"select {file.select} from {open_files([file.path])}"
    try:
        connection.execute(f"select {lengths} from ({rows})")
    except duckdb.Error as error:
        if isinstance(error, _OF_THE_MACHINE):
            raise
        return True
    return False
