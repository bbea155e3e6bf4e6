"""What the rows of a Lance table were made from: where that is other today, they are made again.

`lake/origins/<table>.parquet` has a row (sample_id, origin) a sample; the origin is a text that
differs when the bytes do that the sample's row is made of. It is written after the rows of other
origins were removed and before new ones are appended: a row that is there has the origin that is
noted, whenever a run was killed. A row without one is compared with what it would be today.
"""

from collections.abc import Iterable, Sequence

import duckdb

from ...lance.store import VectorStore
from .lake import Lake, replacing
from .quoting import literal
from .stamp import is_damaged
from .stamped_tables import void_stamp

_IDS_PER_COMMIT = 10_000


def show_origins(
    connection: duckdb.DuckDBPyConnection, lake: Lake, table: str, view: str = "noted_origins"
) -> None:
    """Create the view of what is noted for a table; empty where nothing is."""
    file = lake.origins(table)
    if file.exists() and not is_damaged(file):
        connection.read_parquet(str(file)).create_view(view)
    else:
        nothing = "select null::varchar as sample_id, null::varchar as origin where false"
        connection.execute(f"create or replace temp view {view} as {nothing}")


def write_origins(
    connection: duckdb.DuckDBPyConnection, lake: Lake, table: str, relation: str
) -> None:
    """Note the rows (sample_id, origin) of a relation for a table."""
    with replacing(lake.origins(table)) as unfinished:
        connection.execute(
            f"copy (select sample_id, origin from {relation} order by sample_id) "
            f"to {literal(str(unfinished))} (format parquet, compression zstd)"
        )


def forget_samples(store: VectorStore, tables: Sequence[str], ids: Iterable[str]) -> None:
    """Remove the rows of samples from tables; see `Forgetting`."""
    with Forgetting(store, tables) as forget:
        for sample_id in ids:
            forget(sample_id)


class Forgetting:
    """Removes rows of samples from tables, in their order, some thousand samples at a time."""

    def __init__(self, store: VectorStore, tables: Sequence[str]) -> None:
        self._store, self._tables = store, tables
        self._ids: list[str] = []

    def __call__(self, sample_id: str) -> None:
        """Have the rows of a sample removed, by the end of the block at the latest."""
        self._ids.append(sample_id)
        if len(self._ids) == _IDS_PER_COMMIT:
            self._remove()

    def __enter__(self) -> "Forgetting":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self._ids:
            self._remove()

    def _remove(self) -> None:
        where = f"sample_id in ({', '.join(map(literal, self._ids))})"
        for table in self._tables:
            forget_rows(self._store, table, where)
        self._ids = []


def forget_rows(store: VectorStore, table: str, where: str) -> None:
    """Remove the rows that meet an SQL condition; the table is incomplete from then on.

    Its stamp goes first: after a kill the stage that makes the rows runs again, whatever its inputs
    are by then.
    """
    if store.count(table, where):
        void_stamp(store, table)
        store.delete(table, where)
