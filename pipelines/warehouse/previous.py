"""What the build before this one said, for `changes`: read from its file, attached read-only."""

import duckdb

from ..database import connect, query
from ..lake import Lake, replacing
from ..quoting import literal

NAMES = ("previous_samples", "previous_cluster_members")


def export_previous(lake: Lake) -> str | None:
    """Write the samples and clusters of the published build to `exports/`; returns its name.

    None, and no files, when nothing is published yet or what is cannot be opened: this build counts
    as the first one then.
    """
    for name in NAMES:
        lake.parquet("exports", name).unlink(missing_ok=True)
    if not lake.current.exists():
        return None
    with connect(lake) as connection:
        try:
            connection.execute(f"attach {literal(str(lake.current))} as previous (read_only)")
        except duckdb.Error:
            return None
        for name in NAMES:
            _export(connection, lake, name)
        row = connection.execute("select build from previous.build_info").fetchone()
    assert row is not None
    return str(row[0])


def _export(connection: duckdb.DuckDBPyConnection, lake: Lake, name: str) -> None:
    connection.execute(f"create view {name} as {query(name)}")
    with replacing(lake.parquet("exports", name)) as unfinished:
        connection.execute(f"copy {name} to {literal(str(unfinished))} (format parquet)")
