"""What img2dataset wrote beside its parquet: tars or folders of images, and how downloads ended."""

import tarfile
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.errors import SourceError
from ..formats.pictures import is_picture
from ..formats.streams import open_file
from ..formats.tars import is_image, key_and_column
from .files import read_below
from .rows import READS_AT_ONCE, Cell, Refused, Row


class Outcomes:
    """The columns `status` and `error_message` of one parquet file, where it has them."""

    def __init__(self, parquet: pq.ParquetFile) -> None:
        self._parquet = parquet

    def check(self, row: int) -> None:
        """Raise Refused, with img2dataset's own status and message, when the download failed."""
        if self._rows and self._rows[row]["status"] != "success":
            outcome = self._rows[row]
            raise Refused(outcome["status"] or "not_found", outcome["error_message"] or "")

    @cached_property
    def _rows(self) -> list[dict[str, str | None]]:
        names = ["status", "error_message"]
        if not set(names) <= set(self._parquet.schema_arrow.names):
            return []
        rows: list[dict[str, str | None]] = self._parquet.read(names).to_pylist()
        return rows


class _Keys:
    """The keys of one parquet file, and how its downloads ended."""

    def __init__(self, path: str) -> None:
        try:
            parquet = pq.ParquetFile(open_file(path))
            self._keys: list[str] = parquet.read(["key"])["key"].to_pylist()
        except (OSError, KeyError, pa.ArrowException) as error:
            raise SourceError(f"{path}: cannot be read: {error}") from None
        self._outcomes = Outcomes(parquet)

    def of(self, row: int) -> str:
        """The key of a row that has an image; raises Refused."""
        self._outcomes.check(row)
        return self._keys[row]


class TarBeside:
    """The images of `00000.tar` beside `00000.parquet`, the row's key the name of its image.

    They are found by one pass over the tar's headers. It may be missing, or end early: its rows say
    so.

    Raises:
        SourceError: the parquet cannot be read.

    """

    def __init__(self, path: str, max_bytes: int) -> None:
        self.path, self._max_bytes = path, max_bytes
        self._keys, self._tar = _Keys(path), _Tar(tar_of(path))

    def read(self, row: int) -> Cell:
        """The image's bytes; raises Refused: not_found, too_large, unreadable, or a status."""
        return Cell(self._tar.read(self._keys.of(row), self._max_bytes), None)


class FolderSource:
    """The images in the folder `00000` beside `00000.parquet`, the row's key the name of its image.

    Rows come sorted by file, so each folder is listed once.
    """

    at_once = READS_AT_ONCE

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes, self._path = max_bytes, ""
        self._keys: _Keys | None = None
        self._names: dict[str, str] = {}

    async def read(self, row: Row) -> bytes:
        """The image's bytes.

        Raises:
            Refused: not_found, too_large, unreadable, or what img2dataset says of the row.
            SourceError: the parquet cannot be read.

        """
        if self._keys is None or self._path != row.source_file:
            self._keys, self._path = _Keys(row.source_file), row.source_file
            self._names = {name.split(".")[0]: name for name in pictures_of(row.source_file)}
        key, folder = self._keys.of(row.source_row), folder_of(row.source_file)
        if key not in self._names:
            raise Refused("not_found", f"no image {key} in {folder}")
        return read_below(Path(folder).resolve(), self._names[key], self._max_bytes)


def tar_of(path: str) -> str:
    """The tar beside a parquet file, which holds its images."""
    return path.removesuffix(".parquet") + ".tar"


def folder_of(path: str) -> str:
    """The folder beside a parquet file, which holds its images."""
    return path.removesuffix(".parquet")


def pictures_of(path: str) -> list[str]:
    """The pictures in the folder beside a parquet file, sorted."""
    try:
        return sorted(one.name for one in Path(folder_of(path)).iterdir() if is_picture(one.name))
    except OSError:
        return []


class _Tar:
    """The images of a tar by their keys: those that are whole, whatever became of the rest."""

    def __init__(self, path: str) -> None:
        self._path, self._images = path, dict[str, tarfile.TarInfo]()
        self._problem: Refused | None = None  # what became of the images that are not there
        try:
            self._file = open_file(path)
            self._tar = tarfile.open(fileobj=self._file, mode="r:")  # noqa: SIM115
            for member in self._tar:
                if member.isfile() and is_image(member.name, None):
                    key = key_and_column(member.name)[0].rpartition("/")[2]
                    self._images[key] = member
        except FileNotFoundError:
            self._problem = Refused("not_found", f"{path}: no such file")
        except (PermissionError, tarfile.TarError) as error:
            self._problem = Refused("unreadable", f"{path}: {error}")

    def read(self, key: str, max_bytes: int) -> bytes:
        member = self._images.get(key)
        if member is None:
            raise self._problem or Refused("not_found", f"no image {key} in the tar")
        if member.size > max_bytes:
            raise Refused("too_large", f"{member.size:,} bytes; at most {max_bytes:,}")
        if member.offset_data + member.size > self._file.size():
            raise Refused("unreadable", f"{self._path}: ends within {member.name}")
        file = self._tar.extractfile(member)
        assert file is not None  # it is a file
        return file.read()
