"""What the rows of a Lance table were made from: where that is other today, they are made again.

`lake/origins/<table>.parquet` has a row (sample_id, origin) a sample; the origin is a text that
differs when the bytes do that the sample's row is made of. It is written after the rows of other
origins were removed and before new ones are appended: a row that is there has the origin that is
noted, whenever a run was killed. A row without one is compared with what it would be today.
"""

from collections.abc import Callable

import duckdb

from .lake import Lake, replacing
from .quoting import literal
from .stamp import is_damaged

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


class Forgetting:
    """Has the rows of samples removed, some thousand samples at a time."""

    def __init__(self, remove: Callable[[list[str]], None]) -> None:
        self._remove, self._ids = remove, list[str]()

    def __call__(self, sample_id: str) -> None:
        """Have the rows of a sample removed, by the end of the block at the latest."""
        self._ids.append(sample_id)
        if len(self._ids) == _IDS_PER_COMMIT:
            self._flush()

    def __enter__(self) -> "Forgetting":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self._ids:
            self._flush()

    def _flush(self) -> None:
        self._remove(self._ids)
        self._ids = []
