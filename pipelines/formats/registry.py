"""The formats: which one a file is of, by its name or by its first bytes."""

from collections.abc import Callable
from dataclasses import dataclass
from os.path import splitext
from pathlib import Path

from ..core.errors import SourceError
from . import arrow, coco, delimited, folders, json_records, tars
from .rows import Rows
from .streams import compression_of, head_of

PARQUET = "parquet"
_COMPRESSED = (".gz", ".zst", ".zstd", ".bz2", ".lz4")


@dataclass(frozen=True)
class Format:
    """A format: how its files are called, and what reads their rows."""

    name: str
    suffixes: tuple[str, ...]
    open_rows: Callable[[str], Rows] | None = None
    """None: DuckDB reads the file itself."""


FORMATS = (
    Format(PARQUET, (".parquet", ".pq")),
    Format("delimited", (".csv", ".tsv"), delimited.open_rows),
    Format("jsonl", (".jsonl", ".ndjson"), json_records.open_rows),
    Format("json", (".json",), json_records.open_rows),
    Format("arrow", (".arrow", ".arrows", ".feather", ".ipc"), arrow.open_rows),
    Format("tar", (".tar", ".tgz"), tars.open_rows),
    Format("coco", (), coco.open_rows),
    Format("folder", (), folders.open_rows),
)
_BY_NAME = {one.name: one for one in FORMATS}
_BY_SUFFIX = {suffix: one for one in FORMATS for suffix in one.suffixes}

# Files that people have beside their rows: what each is, and what to type instead.
_OTHERS = (
    (b"\xff\xd8\xff", "a JPEG picture", "name its folder: memtriggers init FOLDER"),
    (b"\x89PNG", "a PNG picture", "name its folder: memtriggers init FOLDER"),
    (b"PK\x03\x04", "a zip archive, or a workbook", "unpack it, or save it as csv: unzip {path}"),
    (b"\x93NUMPY", "a NumPy array", "vectors go beside rows: memtriggers embed --vectors {path}"),
    (b"SQLite format 3", "a SQLite database", "write a table as csv: sqlite3 -csv -header {path}"),
    (b"Rar!", "a rar archive", "unpack it: unrar x {path}"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it: 7z x {path}"),
    (b"\x89HDF", "an HDF5 file", "write its table as parquet, with pandas: to_parquet"),
    (b"%PDF", "a PDF", "it holds no rows"),
    (b"Obj\x01", "an Avro file", "write it as parquet"),
    (b"ORC", "an ORC file", "write it as parquet, with pyarrow.orc"),
    (b"<", "a page of HTML or XML", "the download may have failed: fetch it again"),
)
_DUCKDB = slice(8, 12)


def suffix_of(path: str) -> str:
    """The suffix that says the format, in lower case; one of a compression is left out."""
    # Of many thousand files, a Path costs more than to find them.
    name, suffix = splitext(path.rstrip("/").lower())  # noqa: PTH122
    return splitext(name)[1] if suffix in _COMPRESSED else suffix  # noqa: PTH122


def format_of(path: str) -> Format:
    """The format of a file or a folder of pictures.

    Raises:
        SourceError: it is none that rows are read from; says what it is, and what to type.

    """
    found = _BY_SUFFIX.get(suffix_of(path))
    if found is not None and found.name != "json":
        return found
    if "://" not in path and Path(path).is_dir():
        return _BY_NAME["folder"]
    head = head_of(path)
    if found is not None:
        return _BY_NAME["coco"] if coco.is_coco(head) else _lines_or_array(path, head)
    return _by_head(path, head)


def _lines_or_array(path: str, head: bytes) -> Format:
    """A .json file: an array of objects, or one a line; COCO's keys may come late."""
    first = head.lstrip().split(b"\n", 1)[0].strip()
    if head.lstrip()[:1] == b"{" and not first.endswith(b"}"):
        return _BY_NAME["coco"]
    return _BY_NAME["json"]


def _by_head(path: str, head: bytes) -> Format:
    if head.startswith(b"PAR1"):
        return _BY_NAME[PARQUET]
    if head.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        return _BY_NAME["arrow"]
    if tars.is_tar(head):
        return _BY_NAME["tar"]
    if head.lstrip()[:1] in (b"{", b"["):
        return _BY_NAME["json"]
    if not head:
        raise SourceError(f"{path}: is empty; take it out of [data] rows")
    for mark, what, instead in _OTHERS:
        if head.startswith(mark):
            raise SourceError(f"{path}: is {what}, no rows; {instead.format(path=path)}")
    if head[_DUCKDB] == b"DUCK":
        raise SourceError(
            f"{path}: is a DuckDB database, no rows; write a table as parquet: "
            f"duckdb {path} \"copy TABLE to 'rows.parquet'\""
        )
    if b"\0" not in head and delimited.find_dialect(path).first:
        return _BY_NAME["delimited"]
    compressed = compression_of(head)
    what = (
        f"{compressed} within {compressed}" if compressed else "no format that rows are read from"
    )
    raise SourceError(
        f"{path}: is {what}; rows come from parquet, csv, tsv, jsonl, Arrow, tars and folders of "
        "pictures: write it as one of these"
    )
