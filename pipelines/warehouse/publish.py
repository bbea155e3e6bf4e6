"""Publishing: the database of a build becomes the one that readers open, and old ones go."""

import shutil
from pathlib import Path

from ..core.lake import Lake, replacing, sync, write_text
from .previous import Kept, published

BUILDS_KEPT = 3
_ORDER = "published.txt"  # in builds/: one build a line, as they were published
_READ_ONLY = 0o444  # nobody opens for writing by mistake what others read


def publish(lake: Lake, database: Path, build: str) -> None:
    """Move the file to the builds, then the pointer to the file: each in one step."""
    lake.builds.mkdir(exist_ok=True)
    database.chmod(_READ_ONLY)
    earlier = _published_in_order(lake)
    sync(database)
    moved = database.replace(lake.builds / f"{build}.duckdb")
    sync(lake.builds)
    with replacing(lake.current) as pointer:
        pointer.unlink(missing_ok=True)
        pointer.symlink_to(moved.relative_to(lake.root))
    _keep_last(lake, [*(name for name in earlier if name != build), build])


def _published_in_order(lake: Lake) -> list[str]:
    """The builds that are there, as they were published: what is published now comes last.

    Names do not tell: they are times, and a clock may have been ahead. What is not on record, as
    in a lake of 0.1 or after a kill, comes first.
    """
    record, there = lake.builds / _ORDER, {f.stem for f in lake.builds.glob("*.duckdb")}
    noted = record.read_text("utf-8").split() if record.exists() else []
    last = published(lake)
    now = [] if last is None else [last.build]
    known = [name for name in noted if name in there and name not in now]
    return [*sorted(there.difference(known, now)), *known, *now]


def _keep_last(lake: Lake, builds: list[str]) -> None:
    """Note the order, and remove all but the last few builds and what these compare with."""
    kept = builds[-BUILDS_KEPT:]
    write_text(lake.builds / _ORDER, "".join(f"{name}\n" for name in kept))
    for database in lake.builds.glob("*.duckdb"):
        if database.stem not in kept:
            database.unlink()
    compared = {Kept(lake.builds / name).previous for name in kept}
    for folder in lake.builds.glob("*/"):
        if folder.name not in compared.union(kept):
            shutil.rmtree(folder)
