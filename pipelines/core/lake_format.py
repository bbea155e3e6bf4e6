"""The format of a lake: one number in `lake/format`, which says who may read and write it."""

import re
from collections.abc import Callable
from pathlib import Path

from .errors import LakeError
from .find_lake import refresh_command

FORMAT = 1  # of the lakes that this version writes
_OF_THE_FIRST = 1  # lakes of 0.1 have no such file

Migration = Callable[[Path], None]

# By the number that it starts from, to the next one. A migration gets the folder of a lake whose
# lock is held. A kill may come before the new number is written: it may find its own work done.
MIGRATIONS: dict[int, Migration] = {}

_NUMBER = re.compile(rb"[1-9][0-9]{0,5}\n")
_BEGUN = (".lock", "format.tmp")  # there before the number is, also after a kill
_SHOWN = 20  # bytes of what is no number


def format_file(root: Path) -> Path:
    """The file that holds the number and a newline."""
    return root / "format"


def format_of(root: Path) -> int:
    """The number of a lake; today's where there is no lake yet.

    Raises:
        LakeError: the file holds no number, or cannot be read.

    """
    file = format_file(root)
    try:
        content = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return _OF_THE_FIRST if _is_lake(root) else FORMAT
    except OSError as error:
        raise LakeError(f"{file}: cannot be read: {error.strerror}") from None
    if not _NUMBER.fullmatch(content):
        shown = repr(content[:_SHOWN].decode(errors="replace")) if content else "nothing"
        raise LakeError(
            f"{file}: holds {shown} where the number of the lake's format and a newline should be; "
            f"if this version of memtriggers wrote the lake, put it back: echo {FORMAT} > {file}"
        )
    return int(content)


def _is_lake(root: Path) -> bool:
    """Whether a folder holds anything but what a lake begins with."""
    return root.is_dir() and any(path.name not in _BEGUN for path in root.iterdir())


def check_format(root: Path) -> int:
    """The number of a lake that this version can open, now or after a migration.

    Raises:
        LakeError: it is newer, or nothing leads from it to today's; or there is no number.

    """
    number = format_of(root)
    if number > FORMAT:
        raise LakeError(
            f"{root}: the lake has format {number}, and this version of memtriggers knows formats "
            f"up to {FORMAT}; upgrade it: pip install --upgrade memtriggers"
        )
    missing = [step for step in range(number, FORMAT) if step not in MIGRATIONS]
    if missing:
        raise LakeError(
            f"{root}: the lake has format {number}, this version of memtriggers has {FORMAT}, "
            f"and no migration from {missing[0]} to {missing[0] + 1}; make a new lake: --lake NEW"
        )
    return number


def require_today(root: Path) -> None:
    """Refuse to read an older lake: readers do not write, so they cannot migrate it.

    Raises:
        LakeError: it has an older format; says what migrates it. Or see `check_format`.

    """
    number = check_format(root)
    if number < FORMAT:
        raise LakeError(
            f"{root}: the lake has format {number}, this version of memtriggers reads {FORMAT}; "
            f"migrate it: {refresh_command(root)}"
        )


def migrate(root: Path, write: Callable[[Path, str], None]) -> None:
    """Bring a lake to today's format and note the number; the caller holds its lock.

    The number is written after each step, so that a kill leaves no step undone. `write` puts a
    text into a file in one step.

    Raises:
        LakeError: see `check_format`.

    """
    number = check_format(root)
    for step in range(number, FORMAT):
        MIGRATIONS[step](root)
        write(format_file(root), f"{step + 1}\n")
    if not format_file(root).exists():
        write(format_file(root), f"{FORMAT}\n")
