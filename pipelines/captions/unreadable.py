"""Rows with a text that is not UTF-8, for which DuckDB refuses their file: they are set aside."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from ..core.database import count_rows, first_line
from ..core.errors import SourceError
from ..core.study import Study
from .source import NOT_UTF8, ORIGINAL, SourceFile, create_source, open_files, read_source_files

T = TypeVar("T")

_TEXTS = ("caption", "url", "source_id")  # without one of them a row is not known
_ROWS = 16_384  # in memory
_OF_THE_MACHINE = (duckdb.OutOfMemoryException, duckdb.InterruptException)


def read_source(connection: duckdb.DuckDBPyConnection, study: Study, read: Callable[[], T]) -> T:
    """What `read` makes of the view `source`, which is open, and is read only in there.

    A file with a column that is called as DuckDB numbers rows is read from a copy without it.
    Where DuckDB meets a text that is not UTF-8, every file is looked through, and `read` starts
    over with copies of those that hold one, too. Their rows without a readable caption, url or id
    are in the table unreadable_rows and no longer in `source`; any other text has its odd bytes
    escaped (caf\\xe9). A clean dataset costs nothing.

    Raises:
        SourceError: such a file cannot be copied, or one is damaged within; names it.

    """
    if not count_rows(connection, "files_to_copy"):
        try:
            return read()
        except duckdb.Error as error:
            if not _is_of_text(error):
                _name_damaged(study, connection, error)
                raise
    (scratch,) = connection.execute("select current_setting('temp_directory')").fetchone() or ("",)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        files = read_source_files(study, connection)
        filled = [file for file in files if file.n_rows]
        odd = [f for f in filled if f.has_own_numbers or _has_odd_text(f, connection)]
        copies = {f.path: _copy(f, Path(folder) / f"{n}.parquet") for n, f in enumerate(odd)}
        create_source(connection, files, copies)
        return read()


def _is_of_text(error: duckdb.Error) -> bool:
    return isinstance(error, duckdb.InvalidInputException) and "not valid UTF8" in str(error)


def _has_odd_text(file: SourceFile, connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether DuckDB refuses a text of the file; it says so for a file, and not for a row."""
    try:
        _read_through(file, connection)
    except duckdb.Error as error:
        if not _is_of_text(error):
            raise
        return True
    return False


def _read_through(file: SourceFile, connection: duckdb.DuckDBPyConnection) -> None:
    lengths = ", ".join(f"max(strlen({column}::varchar))" for column in file.columns)
    rows = f"select {file.select} from {open_files([file.path])}"
    connection.execute(f"select {lengths} from ({rows})")


def _name_damaged(study: Study, connection: duckdb.DuckDBPyConnection, error: duckdb.Error) -> None:
    """Raise SourceError where a file is at fault, of which DuckDB says all but the name."""
    if isinstance(error, _OF_THE_MACHINE) or "No space left" in str(error):
        return
    for file in read_source_files(study, connection):
        if file.has_own_numbers or not file.n_rows:
            continue
        try:
            _read_through(file, connection)
        except duckdb.Error as damage:
            if not _is_of_text(damage):
                raise SourceError(
                    f"{file.path}: is damaged within ({first_line(damage)}); fetch it again or "
                    "take it out of [data] parquet"
                ) from None


def _copy(file: SourceFile, copy: Path) -> str:
    """Copy the columns that are read, every row in its place; returns the name of the copy."""
    names = list(dict.fromkeys(name for name in file.columns.values() if name is not None))
    system, inner = _find(file.path)
    try:
        parquet = pq.ParquetFile(inner, filesystem=system)
        batches = (_readable(batch, file) for batch in parquet.iter_batches(_ROWS, columns=names))
        _write(batches, copy)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(
            f"{file.path}: cannot be copied without what DuckDB does not read: {error}"
        ) from None
    return str(copy)


def _find(path: str) -> tuple[fs.FileSystem, str]:
    if "://" not in path:
        return fs.LocalFileSystem(), path
    try:
        system, inner = fs.FileSystem.from_uri(path)
    except (OSError, pa.ArrowException):
        raise SourceError(
            f"{path}: a text is not UTF-8: mend it, or bring the file here, where its row is left "
            "out"
        ) from None
    return system, inner


def _write(batches: Iterator[pa.RecordBatch], path: Path) -> None:
    first = next(batches)  # a file without a row has no odd text
    with pq.ParquetWriter(path, first.schema) as writer:
        writer.write_batch(first)
        for batch in batches:
            writer.write_batch(batch)


def _readable(batch: pa.RecordBatch, file: SourceFile) -> pa.RecordBatch:
    """The batch with texts alone that can be read, and with what makes a row unreadable."""
    columns, odd = {}, dict[str, list[int]]()
    for name, values in zip(batch.schema.names, batch.columns, strict=True):
        columns[name], odd[name] = _escaped(values)
    found: list[str | None] = [None] * len(batch)
    for name in (file.columns[column] for column in reversed(_TEXTS)):
        for row in odd.get(name or "", ()):
            found[row] = columns[name][row].as_py()
    columns[NOT_UTF8] = pa.array(found, pa.string())
    columns[ORIGINAL] = pa.array([file.path] * len(batch), pa.string())
    return pa.RecordBatch.from_pydict(columns)


def _escaped(values: pa.Array) -> tuple[pa.Array, list[int]]:
    """The values, texts with the bytes escaped that are not UTF-8, and the rows of such texts."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if not _is_text(values.type):
        return values, []
    raw = values.cast(pa.large_binary())
    try:
        return raw.cast(pa.large_string()), []
    except pa.ArrowInvalid:
        texts = [v and v.decode("utf-8", "backslashreplace") for v in raw.to_pylist()]
        escaped = pa.array(texts, pa.large_string())
        is_odd = zip(raw, escaped.cast(pa.large_binary()), strict=True)
        return escaped, [row for row, (before, after) in enumerate(is_odd) if before != after]


def _is_text(kind: pa.DataType) -> bool:
    is_string = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return bool(is_string or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
