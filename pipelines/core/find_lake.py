"""Where the lake is: as it was named, else the folder `lake` beside the study."""

import logging
import os
import shlex
from pathlib import Path
from typing import NamedTuple

log = logging.getLogger(__name__)

LAKE, STUDY = "MEMTRIGGERS_LAKE", "MEMTRIGGERS_STUDY"  # variables of the environment
STUDY_FILE = "study.toml"
_HERE = Path("lake")


class FoundLake(NamedTuple):
    """The folder of a lake, and why it is this one."""

    root: Path
    why: str


def study_of_environment() -> Path:
    """The study of a command that is not told one."""
    return Path(os.environ.get(STUDY) or STUDY_FILE)


def lake_of_environment() -> FoundLake:
    """The lake of who has no command line, such as Dagster."""
    named = os.environ.get(LAKE)
    return FoundLake(Path(named), f"named by {LAKE}") if named else find_lake()


def find_lake(study_file: Path | None = None) -> FoundLake:
    """The lake beside a study, or beside that of the environment; until 0.3 perhaps `./lake`."""
    study_file = study_file or study_of_environment()
    beside = lake_beside(study_file)
    if not is_replaced(beside):
        return FoundLake(beside, f"beside {study_file}")
    log.warning(
        "./lake for a study in another folder goes with 0.3; say --lake lake, or move it beside "
        "the study"
    )
    return FoundLake(_HERE, f"in the working directory, as there is no {beside}")


def lake_beside(study_file: Path) -> Path:
    """The folder of a study's lake, which may not exist yet."""
    return study_file.parent / "lake"


def is_replaced(beside: Path) -> bool:
    """Whether `./lake` is used instead of a lake that does not exist yet."""
    return _HERE.is_dir() and not beside.is_dir()


def refresh_command(root: Path) -> str:
    """What refreshes the lake at `root`, with the study beside it, as one types it."""
    study_file = root.parent / STUDY_FILE
    is_default = study_file == Path(STUDY_FILE) or not study_file.is_file()
    study = [] if is_default else ["--study", str(study_file)]
    return shlex.join(["memtriggers", "refresh", *study, "--lake", str(root)])
