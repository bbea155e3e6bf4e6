"""Images in files below a folder: the url column holds their paths."""

import asyncio
import os
import stat
from pathlib import Path

from ..formats.pictures import as_path
from .machine import fault_of
from .rows import READS_AT_ONCE, Refused, Row


class FileSource:
    """Files below a folder; the url column holds their paths."""

    at_once = READS_AT_ONCE

    def __init__(self, root: Path, max_bytes: int) -> None:
        self._root, self._max_bytes = root.resolve(), max_bytes

    async def read(self, row: Row) -> bytes:
        """The file's bytes.

        Raises:
            Refused: invalid_path, not_found, unreadable or too_large.
            OSError: a fault of this machine.

        """
        return await asyncio.to_thread(read_below, self._root, row.url, self._max_bytes)


def read_below(root: Path, url: str | None, max_bytes: int) -> bytes:
    """The bytes of a file below a folder, which is resolved.

    Raises:
        Refused: invalid_path, not_found, unreadable or too_large.
        OSError: a fault of this machine.

    """
    path = path_below(root, url)
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise Refused("invalid_path", f"{path}: not a file")
            if found.st_size > max_bytes:
                reason = f"{found.st_size:,} bytes; at most {max_bytes:,}"
                raise Refused("too_large", reason)
            return file.read(max_bytes)
    except (FileNotFoundError, NotADirectoryError):
        raise Refused("not_found", f"{path}") from None
    except IsADirectoryError:
        raise Refused("invalid_path", f"{path}: a folder") from None
    except OSError as error:
        if fault_of(error):
            raise
        raise Refused("unreadable", f"{path}: {error.strerror}") from None


def path_below(root: Path, url: str | None) -> Path:
    """The path below a folder, which is resolved, that a url column names, file:// and \\ too.

    Raises:
        Refused: invalid_path: there is none, or it leaves the folder.

    """
    if not url:
        raise Refused("invalid_path", "null" if url is None else "empty")
    try:
        path = (root / as_path(url)).resolve()
    except (OSError, ValueError, RuntimeError) as error:  # a null byte, a loop of links
        raise Refused("invalid_path", str(error)) from None
    if not path.is_relative_to(root):
        raise Refused("invalid_path", f"{url!r} leaves {root}")
    return path


def _open_without_waiting(path: str, flags: int) -> int:
    # Opening a named pipe would wait for someone to write to it.
    return os.open(path, flags | os.O_NONBLOCK)
