"""Where images may lie on this machine, and whether the first rows have theirs there."""

import asyncio
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ..captions.described import first_urls
from ..captions.files import find_files
from ..captions.source import create_source
from ..captions.source_file import SourceFile
from ..core.errors import SourceError
from ..core.study import Study
from ..formats.arrow import ArrowFile
from ..formats.registry import PARQUET, format_of
from ..images.column import leaf_of
from ..images.img2dataset import folder_of, tar_of
from ..images.rows import Refused, Row
from ..images.sources import open_image_source

N_ROWS, N_FILES = 20, 4  # looked at, spread over the first files
_N_COLUMNS = 10  # that may hold images
_IMAGE = re.compile(
    rb"\xff\xd8\xff|\x89PNG|GIF8|RIFF....WEBP|BM....\0{4}|II\*\0|MM\0\*|....ftypavi|"
    rb"\0{3}\x0cjP  |\xff\x4f\xff\x51|P[1-6]\s+\d+\s+\d+\s",
    re.DOTALL,
)


@dataclass(frozen=True)
class Seen:
    """One place of images, as a change of `[data]`: how many of the first rows have one there."""

    change: dict[str, Any]
    place: str
    n_rows: int
    n_found: int
    problem: str | None
    """The first row that has none, and why."""

    @property
    def option(self) -> str:
        """How one types it."""
        ((name, value),) = self.change.items()
        flag = f"--{name.replace('_', '-')}"
        return flag if value is True else shlex.join([flag, typed(value)])

    @property
    def text(self) -> str:
        """What was found there."""
        if not self.n_rows:
            return f"{self.place}; no row was looked at"
        found = f"{self.n_found} of the first {self.n_rows} in {self.place}"
        if self.n_found == self.n_rows or self.problem is None:
            return found
        return f"{found} (the first without: {self.problem})"


def found_in_files(study: Study) -> list[Seen]:
    """The columns and tars and folders beside rows that have images of the first rows."""
    looked = (look_in(study, change, rows) for change, rows in _places_in_files(study))
    return [seen for seen in looked if seen.n_found]


def _places_in_files(study: Study) -> Iterator[tuple[dict[str, Any], list[Row]]]:
    """Columns of bytes and tars beside the parquet, each with the rows to look for."""
    local = [path for path in find_files(study) if "://" not in path][:N_FILES]
    formats = {format_of(path).name for path in local}
    if formats == {"arrow"}:
        yield from _columns_of_arrow(local)
    if formats != {PARQUET}:
        return
    try:
        parquets = [(path, pq.read_metadata(path)) for path in local]
        rows = [
            Row("", None, path, number)
            for path, metadata in parquets
            for number in range(min(metadata.num_rows, N_ROWS // len(local)))
        ]
        schemas = [metadata.schema.to_arrow_schema() for _, metadata in parquets]
    except (OSError, pa.ArrowException):
        return  # said better by who reads the file next
    if not rows:
        return
    shared = set(schemas[0].names).intersection(*(schema.names for schema in schemas))
    columns = [f.name for f in schemas[0] if f.name in shared and leaf_of(f.name, f.type)]
    for column in columns[:_N_COLUMNS]:
        yield {"image_column": column}, rows
    if "key" in shared and any(Path(tar_of(path)).is_file() for path in local):
        yield {"image_tars": True}, rows
    if "key" in shared and any(Path(folder_of(path)).is_dir() for path in local):
        yield {"image_folders": True}, rows


def _columns_of_arrow(local: list[str]) -> Iterator[tuple[dict[str, Any], list[Row]]]:
    try:
        files = [ArrowFile(path) for path in local]
        n_first = [len(next(iter(file), (0, []))[1]) for file in files]
    except (SourceError, OSError, pa.ArrowException):
        return
    rows = [
        Row("", None, file.path, number)
        for file, n in zip(files, n_first, strict=True)
        for number in range(min(n, N_ROWS // len(local)))
    ]
    for field in files[0].schema:
        if rows and leaf_of(field.name, field.type):
            yield {"image_column": field.name}, rows


def first_rows(files: list[SourceFile], connection: duckdb.DuckDBPyConnection) -> list[Row]:
    """The first rows of the first files on this machine; none where their urls cannot be read."""
    local = [file for file in files if "://" not in file.path][:N_FILES]
    rows: list[Row] = []
    for file in local:
        n = N_ROWS // len(local)
        if file.needs_copy:
            rows += [Row("", url, file.path, row) for url, row in first_urls(file, n)]
            continue
        create_source(connection, [file])
        query = (
            "select '', url, source_file, source_row from source where caption_number = 0 limit ?"
        )
        try:
            found = connection.execute(query, [n]).fetchall()
        except duckdb.Error:  # `filter` says which row is no UTF-8, and goes on
            continue
        rows += [Row(*row) for row in found]
    return rows


def look_in(study: Study, change: dict[str, Any], rows: list[Row]) -> Seen:
    """What of the rows has an image where the study with a change of `[data]` says."""
    there = replace(study, data=replace(study.data, **change))
    n_found, problem = asyncio.run(_read(there, rows))
    return Seen(change, _place(there), len(rows), n_found, problem)


async def _read(study: Study, rows: list[Row]) -> tuple[int, str | None]:
    """How many rows have an image, and why the first of the others has none."""
    n_found, problem = 0, None
    async with open_image_source(study) as source:
        for row in rows:
            try:
                why = None if _IMAGE.match(await source.read(row)) else "no image"
            except Refused as refused:
                why = f"{refused.status}: {refused.reason}"
            n_found += why is None
            if why is not None and problem is None:
                problem = f"row {row.source_row} of {Path(row.source_file).name}: {why}"
    return n_found, problem


def _place(study: Study) -> str:
    if study.data.image_column is not None:
        return f"the column {study.data.image_column}"
    if study.data.image_tars:
        is_own = format_of(find_files(study)[0]).name == "tar"
        return "the tars themselves" if is_own else "the tars beside the parquet"
    if study.data.image_folders:
        return "the folders beside the parquet"
    return f"the folder {typed(study.path(study.data.image_root or ''))}"


def typed(path: str) -> str:
    """A path as one types it here; a column's name stays as it is."""
    return os.path.relpath(path) if path.startswith("/") else path
