"""Whether a stored image is the one that would be fetched today: its bytes, or why it has none."""

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import NamedTuple

import duckdb

from ..core.cores import count_cores
from ..core.errors import MemtriggersError
from ..core.progress import progress
from ..core.study import Study
from .fetched import failure, for_each
from .machine import fault_of
from .rows import ImageSource, Refused, Row

_AT_ONCE = 500  # rows that are taken from the database at a time
_N = len(Row._fields)


class Stored(NamedTuple):
    """What the table `images` says of a sample."""

    status: str
    status_reason: str | None
    sha256: str | None


_M = len(Stored._fields)


def tell_changed(
    study: Study, connection: duckdb.DuckDBPyConnection, changed: Callable[[str], None]
) -> None:
    """Read the image of each row of samples_to_compare, and tell of the samples where it is other.

    The relation has the columns of `Row` and of `Stored`.

    Raises:
        StudyError: image_root is no folder.
        SourceError: image_column is no column of bytes.
        StageError: this machine has run out of something.

    """
    n_rows = len(connection.table("samples_to_compare"))
    with progress("compare", n_rows) as advance, ThreadPoolExecutor(count_cores()) as hashers:

        async def compare(item: tuple[Row, Stored], source: ImageSource) -> None:
            row, stored = item
            if not await _is_same(row, stored, source, hashers):
                changed(row.sample_id)
            advance(1)

        for_each(study, _read_rows(connection), compare)


def _read_rows(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[Row, Stored]]:
    # Nothing else may be asked of this connection until the last row is read.
    rows = connection.execute("from samples_to_compare order by source_file, source_row")
    while batch := rows.fetchmany(_AT_ONCE):
        yield from ((Row._make(row[:_N]), Stored._make(row[_N : _N + _M])) for row in batch)


async def _is_same(row: Row, stored: Stored, source: ImageSource, hashers: Executor) -> bool:
    """Whether the bytes are the same, or the reason why there are none."""
    try:
        data = await source.read(row)
    except Refused as refused:
        today = failure(refused.status, refused.reason, row.url)
        return (stored.status, stored.status_reason) == tuple(today.values())
    except MemtriggersError:
        raise
    except Exception as error:  # it is fetched again, which says what became of it
        if fault_of(error):
            raise
        return False
    return await asyncio.get_running_loop().run_in_executor(hashers, _sha256, data) == stored.sha256


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
