"""WebDataset tars: members of one key are a row, what follows the key's first dot is the column."""

import json
import tarfile
from collections.abc import Iterator
from functools import partial
from itertools import groupby
from pathlib import PurePosixPath
from typing import Any, cast

from ..core.errors import SourceError
from .pictures import is_picture
from .rows import N_LOOKED_AT, ODD, TEXT, Lost, Rows, batches, printable, types_of
from .streams import compression_of, head_of, open_bytes, open_file, unreadable

KEY = "__key__"
_TEXTS = (".txt", ".json", ".caption", ".cls", ".text")
_LARGEST = 1 << 20  # bytes of a text
_MAGIC = slice(257, 262)


def is_tar(head: bytes) -> bool:
    """Whether a file begins as a tar does, decompressed."""
    return head[_MAGIC] == b"ustar"


def key_and_column(name: str) -> tuple[str, str]:
    """What webdataset makes of a member's name: dir/0.input.jpg is input.jpg of dir/0."""
    folder, slash, base = name.rpartition("/")
    key, _, column = base.partition(".")
    return folder + slash + key, column


class Tar:
    """The members of a tar, in order; `problem` says what became of those that are not there."""

    def __init__(self, path: str) -> None:
        """Raises SourceError where it cannot be opened."""
        self.path, self.problem = path, ""
        self.is_stream = compression_of(_first_bytes(path)) is not None
        self._opened = open_bytes(path) if self.is_stream else None
        try:
            file = open_file(path) if self._opened is None else self._opened.__enter__()
            self.size = None if self.is_stream else cast(Any, file).size()
            read: Any = partial(tarfile.open, fileobj=file)
            self._tar: tarfile.TarFile = read(mode="r|" if self.is_stream else "r:")
        except (OSError, tarfile.TarError) as error:
            raise unreadable(path, error) from None

    def __iter__(self) -> Iterator[tarfile.TarInfo]:
        """The files in it, until it ends or breaks off."""
        try:
            for member in self._tar:
                if member.isfile():
                    yield member
                cast(Any, self._tar).members.clear()  # or it would hold them all
        except (OSError, EOFError, SourceError, tarfile.TarError) as error:
            self.problem = f"breaks off ({str(error).splitlines()[0]})"

    def is_whole(self, member: tarfile.TarInfo) -> bool:
        """Whether the file does not end within a member."""
        return self.size is None or member.offset_data + member.size <= self.size

    def read(self, member: tarfile.TarInfo) -> bytes:
        """What a member holds; of a stream, of the last one that was given.

        Raises:
            TarError: the tar breaks off in it.

        """
        file = self._tar.extractfile(member)
        assert file is not None  # it is a file
        data: bytes = file.read()
        if len(data) < member.size:
            raise tarfile.ReadError(f"ends within {member.name}")
        return data


def _first_bytes(path: str) -> bytes:
    try:
        with open_file(path) as file:
            return bytes(file.read(8))
    except OSError as error:
        raise unreadable(path, error) from None


def open_rows(path: str) -> Rows:
    """The rows of a tar: a column an extension, and the fields of `.json` below it.

    Raises:
        SourceError: it is no tar.

    """
    if not is_tar(head_of(path)):
        raise SourceError(f"{path}: is no tar; fetch it again or take it out of [data] rows")
    first = []
    for row in _rows(path):
        first += [row] if isinstance(row, dict) else []
        if len(first) == N_LOOKED_AT:
            break
    types = types_of(first)
    pictures = [[name for name in row if is_picture(f".{name}")] for row in first]
    for name in types:
        types[name] = "BLOB" if is_picture(f".{name}") else types[name]
    return Rows(
        types | {KEY: TEXT},
        lambda fields: batches(_rows(path), fields, types),
        pictures=next((tuple(some) for some in pictures if len(some) > 1), ()),
    )


def _rows(path: str) -> Iterator[dict[str, Any] | Lost]:
    """The rows; pictures are true where they are whole, and not read."""
    tar = Tar(path)
    for key, members in groupby(tar, lambda member: key_and_column(member.name)[0]):
        row: dict[str, Any] = {KEY: printable(key)}
        for member in members:
            if not tar.is_whole(member):
                tar.problem = f"ends within {member.name}"
                break
            try:
                row[printable(key_and_column(member.name)[1])] = _value(tar, member)
            except tarfile.TarError as error:
                tar.problem = str(error)
                break
        if tar.problem:
            yield Lost(f"the tar {tar.problem}: {key}")
            return
        yield row
    if tar.problem:
        yield Lost(f"the tar {tar.problem}")


def _value(tar: Tar, member: tarfile.TarInfo) -> Any:
    suffix = PurePosixPath(member.name).suffix.lower()
    if suffix not in _TEXTS or member.size > _LARGEST:
        return True if is_picture(member.name) else None
    text = tar.read(member).decode("utf-8-sig", ODD)
    if suffix != ".json":
        return text.strip()
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def is_image(name: str, column: str | None) -> bool:
    """Whether a member is the image of its key: the column that is named, or any picture."""
    extension = key_and_column(name)[1]
    return extension == column if column is not None else is_picture(f".{extension}")
