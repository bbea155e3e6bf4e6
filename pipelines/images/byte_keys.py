"""Rows that are told apart by the bytes of their images, and keys that are found to repeat.

`lake/byte_keys.sqlite` remembers the hash of a row's image with what its file holds, and the tar or
folder beside it. It may be removed at any time: then the images of the rows that match are read
once more.
"""

import asyncio
import hashlib
from collections.abc import Iterable
from contextlib import closing

import duckdb
import pyarrow as pa

from ..core.database import query
from ..core.errors import SourceError
from ..core.lake import Lake
from ..core.progress import progress
from ..core.quoting import literal
from ..core.remembered import open_remembered
from ..core.study import Study
from .column import ColumnSource
from .places import shards
from .rows import ImageSource, Refused, Row
from .sources import open_image_source

_TABLE = (
    "create table if not exists rows (content text, place text, source_row integer, hash text, "
    "primary key (content, place, source_row)) without rowid"
)
_AT_ONCE = 1_000  # rows in one transaction
_NO_IMAGE = ""  # in the place of a hash


def find_byte_keys(connection: duckdb.DuckDBPyConnection, study: Study, lake: Lake) -> None:
    """Give the matching rows without a url and a key the sha256 of their image as source_id.

    A row without an image has none: it is one sample with those of the same caption.

    Raises:
        SourceError: rows of one key and one caption have different images; names two of them.

    """
    connection.execute(
        "create or replace temp table byte_keys "
        "(source_file varchar, source_row bigint, hash varchar)"
    )
    if not study.data.has_images_by_row:
        return
    connection.execute(query("filter/rows_to_hash"))
    rows = connection.table("rows_to_hash").order("source_file, source_row").fetchall()
    if rows:
        _hash_rows(connection, study, lake, [(file, row) for file, row, _ in rows])
    connection.execute(query("filter/byte_keys"))
    clash = connection.execute(query("filter/repeated_keys")).fetchone()
    if clash is not None:
        raise _repeated(*clash)


def _hash_rows(
    connection: duckdb.DuckDBPyConnection, study: Study, lake: Lake, rows: list[tuple[str, int]]
) -> None:
    """Fill the table byte_keys for rows that are sorted by file and row."""
    files = list(dict.fromkeys(file for file, _ in rows))
    held = dict(shards(study, lake, set(files)))
    with closing(_Remembered(lake, study)) as remembered:
        known = {file: remembered.hashes_of(held[file]) for file in files}
        unknown = [(file, row) for file, row in rows if row not in known[file]]
        for start in range(0, len(unknown), _AT_ONCE):
            some = unknown[start : start + _AT_ONCE]
            hashed = list(zip(some, asyncio.run(_read(study, some)), strict=True))
            remembered.note(
                (held[file], row, hash) for (file, row), (hash, is_held) in hashed if is_held
            )
            for (file, row), (hash, _) in hashed:
                known[file][row] = hash
    found = [(file, row, known[file][row]) for file, row in rows]
    columns = zip(*found, strict=True)
    names = ("source_file", "source_row", "hash")
    connection.register("hashed", pa.table(dict(zip(names, map(list, columns), strict=True))))
    connection.execute(f"insert into byte_keys from hashed where hash != {literal(_NO_IMAGE)}")
    connection.unregister("hashed")


async def _read(study: Study, rows: list[tuple[str, int]]) -> list[tuple[str, bool]]:
    """The hash of each row's image, and whether what is remembered of its file says so."""
    hashes = []
    async with open_image_source(study) as source:
        with progress("hash", len(rows)) as advance:
            for file, row in rows:
                hashes.append(await _hash(source, Row("", None, file, row)))
                advance(1)
    return hashes


async def _hash(source: ImageSource, row: Row) -> tuple[str, bool]:
    is_held = True
    try:
        if isinstance(source, ColumnSource):
            cell = source.cell(row)
            is_held = not cell.path or cell.data is not None  # else another file has the image
            data = source.image_of(row, cell)
        else:
            data = await source.read(row)
    except Refused:
        return _NO_IMAGE, is_held
    return hashlib.sha256(data).hexdigest(), is_held


class _Remembered:
    """The hashes of rows' images, by what their files hold."""

    def __init__(self, lake: Lake, study: Study) -> None:
        self._connection = open_remembered(lake.byte_keys, _TABLE)
        self._place = f"{study.data.image_column}/{study.data.image_tars}"

    def hashes_of(self, content: str) -> dict[int, str]:
        find = "select source_row, hash from rows where content = ? and place = ?"
        return dict(self._connection.execute(find, (content, self._place)).fetchall())

    def note(self, hashes: Iterable[tuple[str, int, str]]) -> None:
        rows = [(content, self._place, row, hash) for content, row, hash in hashes]
        with self._connection:
            self._connection.executemany("replace into rows values (?, ?, ?, ?)", rows)

    def close(self) -> None:
        self._connection.close()


def _repeated(key: str, caption: str, place: str, other: str) -> SourceError:
    return SourceError(
        f"{place} and {other}: the same key {key!r} and the same caption {caption[:80]!r}, but "
        "different images; name a column that tells them apart, or their bytes: "
        'key_column = "bytes" in [data]'
    )
