"""What parquet files say of themselves, for many thousand files: their rows and their schema."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.contents import contents
from ..core.cores import count_cores
from ..core.lake import Lake
from ..core.remembered import open_remembered
from ..formats.streams import open_file

_PART = 500  # files of one task: to hand over each alone would cost more than to read it
_TABLE = (
    "create table if not exists footers (content text primary key, n_rows integer, schema text)"
    " without rowid"
)


class Footer(NamedTuple):
    """A file's rows, and a hash of its schema, which is equal where files are alike."""

    n_rows: int
    schema: str


def read_footers(paths: list[str], lake: Lake | None) -> dict[str, Footer]:
    """The footers of parquet files; those that cannot be read are left out.

    Args:
        paths: on this machine, or at addresses that pyarrow reads.
        lake: where it is one, it remembers them in `lake/footers.sqlite`, by the bytes of the
            files; that may be removed at any time.

    """
    if lake is None or not lake.root.is_dir():
        return dict(_read(paths))
    held = dict(contents(lake, paths))
    with closing(open_remembered(lake.footers, _TABLE)) as connection:
        rows = connection.execute("select content, n_rows, schema from footers")
        known = {content: Footer(n_rows, schema) for content, n_rows, schema in rows}
        new = dict(_read([path for path in paths if held[path] not in known]))
        with connection:
            connection.executemany(
                "replace into footers values (?, ?, ?)",
                ((held[path], *footer) for path, footer in new.items()),
            )
            gone = known.keys() - set(held.values())
            connection.executemany(
                "delete from footers where content = ?", ((content,) for content in gone)
            )
    return new | {path: known[held[path]] for path in paths if held[path] in known}


def _read(paths: list[str]) -> Iterator[tuple[str, Footer]]:
    parts = [paths[start : start + _PART] for start in range(0, len(paths), _PART)]
    is_far = any("://" in path for path in paths)  # else Python's lock lets one thread read
    with ThreadPoolExecutor(count_cores() if is_far else 1) as threads:
        for part in threads.map(_read_part, parts):
            yield from part


def _read_part(paths: list[str]) -> list[tuple[str, Footer]]:
    found = ((path, _footer(path)) for path in paths)
    return [(path, footer) for path, footer in found if footer is not None]


def _footer(path: str) -> Footer | None:
    try:
        with open_file(path) as file:  # for pyarrow to open it by its name takes half as long again
            metadata = pq.read_metadata(file)
        schema = str(metadata.schema).partition("\n")[2]  # behind an address in memory
    except (OSError, pa.ArrowException):
        return None
    return Footer(metadata.num_rows, hashlib.md5(schema.encode()).hexdigest())
