"""What a build keeps beside it for the next one, which says in `changes` what is different."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import duckdb

from ..core.database import connect, query, write_parquet
from ..core.lake import Lake, replacing
from ..core.quoting import literal
from ..core.stamp import Stamp, read_parquet_stamp

NAMES = ("previous_samples", "previous_cluster_members")
# What a second build of one refresh brings: samples and clusters are those of the first.
_LATER = ("prompts", "generate", "score", "objects")
_PREVIOUS = "previous.txt"  # beside them: the build that this one was compared with


@dataclass(frozen=True)
class Kept:
    """The samples and clusters of one build, in a folder beside its database."""

    folder: Path

    @property
    def build(self) -> str:
        """The name of the build."""
        return self.folder.name

    @property
    def stamp(self) -> Stamp | None:
        """The stamp of the build; None where it has kept nothing."""
        return read_parquet_stamp(*map(self.file, NAMES))

    @property
    def previous(self) -> str | None:
        """The build that this one was compared with."""
        named = self.folder / _PREVIOUS
        return (named.read_text("utf-8").strip() or None) if named.exists() else None

    def file(self, name: str) -> Path:
        """The parquet file of one of `NAMES`."""
        return self.folder / f"{name}.parquet"


def published(lake: Lake) -> Kept | None:
    """What the published build has kept; None when nothing is published."""
    return Kept(lake.current.resolve().with_suffix("")) if lake.current.exists() else None


def keep_for_next(
    connection: duckdb.DuckDBPyConnection, folder: Path, stamp: Stamp, previous: str | None
) -> None:
    """Write what the next build compares with, from the database of this one.

    The next build opens no database that readers may hold.
    """
    for name in NAMES:
        connection.execute(f"create temp view {name} as {query(f'build/{name}')}")
        write_parquet(connection, name, Kept(folder).file(name), stamp)
    with replacing(folder / _PREVIOUS) as unfinished:
        unfinished.write_text(previous or "", "utf-8")


def export_previous(lake: Lake, stamp: Stamp) -> str | None:
    """Write the samples and clusters to compare with to `exports/`; returns their build.

    They are those of the published build; of the one that it was compared with itself, when they
    are the same: the second build of a refresh says what the first one said. None, and no files,
    when there is nothing to compare with.
    """
    for name in NAMES:
        getattr(lake, name).unlink(missing_ok=True)
    now = published(lake)
    kept = None if now is None else _compared_with(now, stamp)
    if kept is None:
        return None
    if kept.stamp is None:
        return _export_database(lake, kept.folder.with_suffix(".duckdb"))
    for name in NAMES:
        with replacing(getattr(lake, name)) as unfinished:
            shutil.copyfile(kept.file(name), unfinished)
    return kept.build


def _compared_with(now: Kept, stamp: Stamp) -> Kept | None:
    if now.stamp is None or _data_of(now.stamp) != _data_of(stamp):
        return now
    return None if now.previous is None else Kept(now.folder.with_name(now.previous))


def _data_of(stamp: Stamp) -> tuple[dict[str, str], dict[str, str]]:
    return stamp.study, {k: v for k, v in stamp.inputs.items() if k not in _LATER}


def _export_database(lake: Lake, database: Path) -> str | None:
    """The same from the database of a build of 0.1, which kept nothing; None if it is held."""
    with connect(lake) as connection:
        try:
            connection.execute(f"attach {literal(str(database))} as previous (read_only)")
        except duckdb.Error:
            return None
        connection.execute("use previous")
        for name in NAMES:
            with replacing(getattr(lake, name)) as unfinished:
                text = query(f"build/{name}").rstrip().removesuffix(";")
                connection.execute(f"copy ({text}) to {literal(str(unfinished))} (format parquet)")
        row = connection.execute("select build from build_info").fetchone()
    assert row is not None
    return str(row[0])
