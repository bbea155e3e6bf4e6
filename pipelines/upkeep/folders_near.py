"""The folders that may hold the images whose paths a url column has."""

import os
from pathlib import Path

import duckdb

from ..captions.source import create_source
from ..captions.source_file import SourceFile

_N_FOLDERS = 100  # beside the parquet


def common_folder(
    files: list[SourceFile], first: list[str], connection: duckdb.DuckDBPyConnection
) -> list[str]:
    """The folder of all absolute paths, of every row: a file outside of it would be refused.

    Of files that must be copied to be read it is that of their first rows.
    """
    readable = [file for file in files if "://" not in file.path and not file.needs_copy]
    create_source(connection, readable)
    path = "regexp_replace(url, '^file://(localhost)?', '', 'i')"
    query = f"select min({path}), max({path}) from source where starts_with({path}, '/')"
    try:
        found = connection.execute(query).fetchone() or ()
    except duckdb.Error:  # a path that is no UTF-8
        return []
    ends = [path for path in (*found, *first) if path and path.startswith("/")]
    # What the first and the last by the alphabet begin with, all between them begin with.
    folder = os.path.commonpath([Path(path).parent for path in ends])
    return [folder] if folder != "/" and Path(folder).is_dir() else []


def folders_near(file: Path, paths: list[str], is_wide: bool = False) -> list[str]:
    """Folders near a file of rows below which one of the relative paths is a file.

    These are its own, the one above, those within it, and the working directory; where `is_wide`
    those beside it, too.
    """
    parent = file.parent
    beside = _folders_in(parent.parent) if is_wide else []
    inside = [*beside, *reversed(_folders_in(parent))]
    near = {str(p.resolve()): p for p in (Path.cwd(), parent.parent, *inside, parent)}
    return [
        str(folder)
        for folder in reversed(near.values())
        if any(_is_file(folder / path) for path in paths)
    ]


def _folders_in(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())[:_N_FOLDERS]
    except OSError:  # it may be read from, and not listed
        return []


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False
