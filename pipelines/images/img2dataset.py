"""What img2dataset wrote: tars of images beside its parquet, and how each download ended."""

import tarfile
from functools import cached_property
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from ..core.errors import SourceError
from .rows import READS_AT_ONCE, Refused, Row

_NO_IMAGES = {".txt", ".json"}  # what else a sample of a webdataset has


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


class TarSource:
    """Webdataset tars, `00000.tar` beside `00000.parquet`, the row's key the name of its image.

    Rows come sorted by file, so each tar is opened once; its images are found by one pass over its
    headers.
    """

    at_once = READS_AT_ONCE

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._shard: _Shard | None = None

    async def read(self, row: Row) -> bytes:
        """The image's bytes.

        Raises:
            Refused: not_found, too_large, unreadable, or what img2dataset says of the row.
            SourceError: the parquet cannot be read.

        """
        if self._shard is None or self._shard.path != row.source_file:
            self._shard = _Shard(row.source_file)
        return self._shard.read(row.source_row, self._max_bytes)


class _Shard:
    """One parquet file and its tar, which may be missing, or end early: its rows say so."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            parquet = pq.ParquetFile(open_file(path))
            self._keys: list[str] = parquet.read(["key"])["key"].to_pylist()
        except (OSError, KeyError, pa.ArrowException) as error:
            raise SourceError(f"{path}: cannot be read: {error}") from None
        self._outcomes = Outcomes(parquet)
        self._tar = _Tar(tar_of(path))

    def read(self, row: int, max_bytes: int) -> bytes:
        self._outcomes.check(row)
        return self._tar.read(self._keys[row], max_bytes)


def tar_of(path: str) -> str:
    """The tar beside a parquet file, which holds its images."""
    return path.removesuffix(".parquet") + ".tar"


class _Tar:
    """The images of a tar by their keys: those that are whole, whatever became of the rest."""

    def __init__(self, path: str) -> None:
        self._path, self._images = path, dict[str, tarfile.TarInfo]()
        self._problem: Refused | None = None  # what became of the images that are not there
        try:
            self._file = open_file(path)
            self._tar = tarfile.open(fileobj=self._file, mode="r:")  # noqa: SIM115
            for member in self._tar:
                name = PurePosixPath(member.name)
                if member.isfile() and name.suffix not in _NO_IMAGES:
                    self._images[name.stem] = member
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


def open_file(path: str) -> pa.NativeFile:
    """A file for reading, on this machine or at an address such as s3://…."""
    if "://" not in path:
        return pa.OSFile(path)
    system, inner = fs.FileSystem.from_uri(path)
    return system.open_input_file(inner)
