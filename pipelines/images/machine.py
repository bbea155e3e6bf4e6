"""Faults of this machine: they stop a stage, and are never what becomes of one row."""

import errno
import re

_OPEN_FILES = "too many open files; raise the limit (ulimit -n) or lower connections in [fetch]"
_MEMORY = "no memory left; free some, or lower connections or max_bytes in [fetch]"
_DISK = "no space left on the disk; free some"
_THREADS = "no further thread can be started; raise the limit (ulimit -u) or lower connections"
_FAULTS = {
    errno.EMFILE: _OPEN_FILES,
    errno.ENFILE: _OPEN_FILES,
    errno.ENOMEM: _MEMORY,
    errno.ENOBUFS: _MEMORY,
    errno.ENOSPC: _DISK,
    errno.EDQUOT: _DISK,
}
_NUMBERS = re.compile(r"\[Errno (\d+)\]")


def fault_of(error: BaseException) -> str | None:
    """What this machine ran out of, with the way out; None where the error is none of its faults.

    A file that cannot be read for any other reason, a bad block of the disk among them, is that
    row's: it would stop the stage at the same row for ever.
    """
    if isinstance(error, MemoryError):
        return _MEMORY
    if isinstance(error, OSError):
        return next((_FAULTS[number] for number in _numbers(error) if number in _FAULTS), None)
    is_thread = isinstance(error, RuntimeError) and "can't start new thread" in str(error)
    return _THREADS if is_thread else None


def _numbers(error: OSError) -> list[int]:
    """Its number; where several addresses of a host failed in several ways, those in its text."""
    if error.errno is not None:
        return [error.errno]
    text = str(error.args[0]) if error.args else ""
    return [int(n) for n in _NUMBERS.findall(text)] if text.startswith("Multiple exc") else []
