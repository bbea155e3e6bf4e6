"""The folders that may hold the images whose paths a url column has."""

import os
from pathlib import Path

import duckdb

from ..captions.source import SourceFile, create_source

_N_FOLDERS = 100  # beside the parquet


def common_folder(files: list[SourceFile], connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The folder of all absolute paths, of every row: a file outside of it would be refused."""
    create_source(connection, [file for file in files if "://" not in file.path], {})
    query = "select min(url), max(url) from source where starts_with(url, '/')"
    try:
        ends = connection.execute(query).fetchone() or ()
    except duckdb.Error:  # a path that is no UTF-8
        return []
    # What the first and the last by the alphabet begin with, all between them begin with.
    folder = os.path.commonpath([Path(path).parent for path in ends])
    return [folder] if folder != "/" and Path(folder).is_dir() else []


def folders_near(file: Path, paths: list[str]) -> list[str]:
    """Folders near a file of the parquet below which one of the relative paths is a file."""
    parent = file.parent
    try:
        inside = sorted(path for path in parent.iterdir() if path.is_dir())[:_N_FOLDERS]
    except OSError:  # it may be read from, and not listed
        inside = []
    near = {str(p.resolve()): p for p in (Path.cwd(), parent.parent, *reversed(inside), parent)}
    return [
        str(folder)
        for folder in reversed(near.values())
        if any(_is_file(folder / path) for path in paths)
    ]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False
