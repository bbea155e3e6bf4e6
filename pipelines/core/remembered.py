"""Small files that remember what would cost time to find again; they may be removed at any time."""

import sqlite3
from pathlib import Path


def open_remembered(file: Path | None, table: str) -> sqlite3.Connection:
    """A database with a table, in a file or in memory; a file that is damaged is begun again."""
    try:
        return _open(file, table)
    except sqlite3.OperationalError:  # locked, or on a full disk
        raise
    except sqlite3.DatabaseError:
        assert file is not None  # memory is not damaged
        file.unlink(missing_ok=True)
        return _open(file, table)


def _open(file: Path | None, table: str) -> sqlite3.Connection:
    connection = sqlite3.connect(file or ":memory:")
    try:
        connection.execute(table)
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection
