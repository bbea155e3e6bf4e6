"""Text with a delimiter: csv and tsv, with and without a header, whatever delimits and quotes."""

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

import pyarrow as pa
from pyarrow import csv as arrow_csv

from ..core.errors import SourceError
from .marked_text import MarkedText, unmarked_text
from .rows import N_LOOKED_AT, TEXT, Field, Rows, batch, broken
from .streams import head_of, open_bytes, problem_of

_HEAD = 1 << 20  # bytes that are looked at
_BLOCK = 1 << 22  # bytes that are parsed at a time: no row may be longer
_DELIMITERS = (",", "\t", ";", "|")
_PICTURE = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True)
class Dialect:
    """How a file is written, and its first rows."""

    delimiter: str
    quote: str | None
    has_header: bool
    names: list[str]
    first: list[list[str]]


def open_rows(path: str) -> Rows:
    """The rows of a file of text; raises SourceError where it is none."""
    dialect = find_dialect(path)
    return Rows(
        dict.fromkeys(dialect.names, TEXT),
        lambda fields: _read(path, dialect, fields),
        is_named=dialect.has_header,
    )


def find_dialect(path: str) -> Dialect:
    """How a file is written, told from its first megabyte.

    Raises:
        SourceError: it cannot be read, is UTF-16, or has no row.

    """
    head = head_of(path, _HEAD)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SourceError(
            f"{path}: is UTF-16; write it as UTF-8: iconv -f UTF-16 -t UTF-8 {path} > NAME.csv"
        )
    text = head.decode("utf-8-sig", "backslashreplace")
    if len(head) == _HEAD:
        text = text[: text.rfind("\n") + 1]  # a whole last line
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise SourceError(f"{path}: is empty; take it out of [data] rows")
    found = [
        (_sameness(rows), delimiter == _usual(path), quote is not None, -place, rows)
        for place, delimiter in enumerate(_DELIMITERS)
        for quote in ('"', None)
        if (rows := _split(text, delimiter, quote))
    ]
    if not found:
        raise SourceError(f"{path}: no lines whose cells can be told; write it as csv or jsonl")
    *_, is_quoted, place, rows = max(found, key=lambda one: one[:-1])
    has_header = _is_header(rows[0])
    width = Counter(map(len, rows)).most_common(1)[0][0] if not has_header else len(rows[0])
    names = _names(rows[0]) if has_header else [f"column{number}" for number in range(width)]
    quote = '"' if is_quoted else None
    first = rows[has_header : N_LOOKED_AT + has_header]
    return Dialect(_DELIMITERS[-place], quote, has_header, names, first)


def _usual(path: str) -> str:
    return "\t" if ".tsv" in path.lower() else ","


def _split(text: str, delimiter: str, quote: str | None) -> list[list[str]]:
    reader = csv.reader(
        io.StringIO(text),
        delimiter=delimiter,
        quotechar=quote or '"',
        quoting=csv.QUOTE_NONE if quote is None else csv.QUOTE_MINIMAL,
        strict=True,
    )
    try:
        return [row for row in islice(reader, 10 * N_LOOKED_AT) if row]
    except csv.Error:
        return []


def _sameness(rows: list[list[str]]) -> tuple[float, int]:
    """The share of rows of the commonest width above 1, and that width."""
    ((width, n),) = Counter(map(len, rows)).most_common(1)
    return (n / len(rows), min(width, 2)) if width > 1 else (0.0, 1)


def _is_header(cells: list[str]) -> bool:
    """Whether cells name columns: short, of letters, each another; none is a value."""
    texts = [cell.strip() for cell in cells]
    named = [text for text in texts if text]
    return bool(named) and len(set(named)) == len(named) and not any(map(_is_value, named))


def _is_value(text: str) -> bool:
    is_long = len(text) > 60 or text.count(" ") > 2
    is_place = "://" in text or text.lower().endswith(_PICTURE)
    return is_long or is_place or text.replace(".", "", 1).lstrip("-").isdigit()


def _names(cells: list[str]) -> list[str]:
    """Names for columns, each another: one without a name is called by its place."""
    names: list[str] = []
    for place, cell in enumerate(cells):
        name = cell.strip() or f"column{place}"
        while name in names:
            name += "_1"
        names.append(name)
    return names


def _read(path: str, dialect: Dialect, fields: list[Field]) -> Iterator[pa.RecordBatch]:
    names = [field[0] for field in fields]
    lost: dict[int, str] = {}  # rows of a wrong number of cells, by their numbers

    def skip(row: Any) -> str:
        number = row.number - 1 - dialect.has_header
        shown = unmarked_text(row.text)
        lost[number] = f"{row.actual_columns} columns of {row.expected_columns}: {shown}"[:500]
        return "skip"

    first = 0
    with open_bytes(path) as stream:
        try:
            text = MarkedText(stream)
            for found, is_last in _with_last(_open(text, dialect, names, skip)):
                problem = problem_of(stream) if is_last else None
                whole = found.slice(0, len(found) - bool(problem))  # the row that it breaks off in
                numbers = _numbers(first, len(whole), lost)
                yield batch([text.unmarked(whole.column(name)) for name in names], numbers)
                first = 1 + numbers[-1].as_py() if len(numbers) else first
        except pa.ArrowException as error:
            if "Empty CSV file" not in str(error):  # a header, and no row
                lost[1 + max((first - 1, *lost))] = str(error).splitlines()[0]
        if problem := problem_of(stream):
            lost[1 + max((first - 1, *lost))] = problem
    for number, reason in sorted(lost.items()):
        yield broken(fields, number, 1, reason)


def _with_last(found: Iterable[pa.RecordBatch]) -> Iterator[tuple[pa.RecordBatch, bool]]:
    """Each batch, and whether it is the last one."""
    before = None
    for one in found:
        if before is not None:
            yield before, False
        before = one
    if before is not None:
        yield before, True


def _open(
    stream: Any, dialect: Dialect, names: list[str], skip: Callable[[Any], str]
) -> arrow_csv.CSVStreamingReader:
    return arrow_csv.open_csv(
        stream,
        # One thread: with more, pyarrow does not number the rows that it skips.
        arrow_csv.ReadOptions(
            block_size=_BLOCK,
            column_names=dialect.names,
            skip_rows=int(dialect.has_header),
            use_threads=False,
        ),
        arrow_csv.ParseOptions(
            delimiter=dialect.delimiter,
            quote_char=dialect.quote or False,
            newlines_in_values=dialect.quote is not None,
            invalid_row_handler=skip,
        ),
        arrow_csv.ConvertOptions(
            check_utf8=False,
            column_types=dict.fromkeys(names, pa.binary()),
            include_columns=list(dict.fromkeys(names)) or dialect.names[:1],
        ),
    )


def _numbers(first: int, n: int, lost: dict[int, str]) -> pa.Array:
    """The numbers of the next n rows, those of lost ones left out."""
    if not lost:
        return pa.array(range(first, first + n), pa.int64())
    every = (number for number in count(first) if number not in lost)
    return pa.array(islice(every, n), pa.int64())
