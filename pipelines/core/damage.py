"""Files of a lake that are there and cannot be read: a disk was full, or a copy was cut off.

What a stage makes, the next `refresh` makes again. What no stage can make is named.
"""

from collections.abc import Iterator
from pathlib import Path

from .decisions import KINDS, decisions_file
from .errors import LakeError
from .lake import Lake
from .registry import tables_of
from .stamp import is_damaged


def damaged_tables(lake: Lake, stage: str) -> list[Path]:
    """The parquet files of a stage that are damaged."""
    files = (lake.parquet(t.folder, t.name) for t in tables_of(stage) if t.folder is not None)
    return [file for file in files if is_damaged(file)]


def require_whole(lake: Lake) -> None:
    """Refuse to go on without what no stage can make again.

    Raises:
        LakeError: such a file is damaged; names it, what is in it, and the way out.

    """
    for file, holds in _kept(lake):
        if is_damaged(file):
            raise LakeError(
                f"{file}: is damaged, and no stage can make it again ({holds}): "
                f"bring it back from a backup, or begin anew without it: rm {file}"
            )


def _kept(lake: Lake) -> Iterator[tuple[Path, str]]:
    yield lake.prompts, "the prompts that images were generated for"
    yield lake.replication_thresholds, "thresholds that were fixed before images were looked at"
    yield lake.generators, "the settings of the generators whose images are in the lake"
    for kind in KINDS:
        yield decisions_file(lake, kind), "what was decided in the explorer"
