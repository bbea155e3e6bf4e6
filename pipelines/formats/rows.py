"""What every format gives of a file: its columns, and its rows in order, unreadable ones too."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import pyarrow as pa

N_AT_ONCE = 10_000  # rows in memory
N_LOOKED_AT = 100  # first rows that say which columns a file without a schema has

ROW, RULE, OBSERVED = "source_row", "memtriggers_rule", "memtriggers_observed"
UNREADABLE, INVALID_UTF8 = (
    "unreadable",
    "invalid_utf8",
)  # rules that a row breaks which is no sample

ODD = "surrogateescape"  # how bytes that are no UTF-8 come through Python's texts

# What a file without a schema may hold: texts, objects, and lists of either.
TEXT, TEXTS, FIELDS, LISTS_OF_FIELDS = "VARCHAR", "VARCHAR[]", "STRUCT", "STRUCT[]"

Field = tuple[str, ...]
"""A column, and the names of what is below it."""


class Lost(NamedTuple):
    """A row that cannot be read, and why."""

    reason: str


@dataclass(frozen=True)
class Rows:
    """The rows of one file.

    Read gives batches of the fields that are asked for, by position, with `ROW`, `RULE` and
    `OBSERVED` behind them; texts may still be bytes. A file that breaks off gives a last row that
    says why.
    """

    types: dict[str, str]
    """Each column's type, as DuckDB names it; that of a column of texts may be TEXT or TEXTS."""
    read: Callable[[list[Field]], Iterator[pa.RecordBatch]]
    n_rows: int | None = None
    """None where they must be read to be counted."""
    is_named: bool = True
    """Whether the columns have names of their own."""
    pictures: tuple[str, ...] = ()
    """The columns of pictures of which a row has several: one of them is the image."""


def batch(
    arrays: list[pa.Array], rows: pa.Array, reasons: pa.Array | None = None
) -> pa.RecordBatch:
    """One batch of rows; `reasons` is null for those that can be read."""
    n = len(rows)
    reasons = pa.nulls(n, pa.string()) if reasons is None else reasons
    rules = pa.array([None if r is None else UNREADABLE for r in reasons.to_pylist()], pa.string())
    names = [*(f"c{place}" for place in range(len(arrays))), ROW, RULE, OBSERVED]
    return pa.RecordBatch.from_arrays([*arrays, rows, rules, reasons], names)


def broken(fields: list[Field], first: int, n: int, reason: str) -> pa.RecordBatch:
    """A batch of rows that cannot be read."""
    nothing = [pa.nulls(n, pa.string()) for _ in fields]
    numbers = pa.array(range(first, first + n), pa.int64())
    return batch(nothing, numbers, pa.array([reason.splitlines()[0]] * n, pa.string()))


def batches(
    found: Iterable[dict[str, Any] | Lost], fields: list[Field], types: dict[str, str]
) -> Iterator[pa.RecordBatch]:
    """Batches of rows that come one by one, each a dict of its columns."""
    waiting, first = iter(found), 0
    while some := list(islice(waiting, N_AT_ONCE)):
        arrays = [_array([_value(row, field) for row in some], types, field) for field in fields]
        lost = [printable(r.reason) if isinstance(r, Lost) else None for r in some]
        reasons = pa.array(lost, pa.string())
        yield batch(arrays, pa.array(range(first, first + len(some)), pa.int64()), reasons)
        first += len(some)


def printable(text: str) -> str:
    """A text without halves of pairs, which stand for bytes that are no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def rows_of(found: Callable[[], Iterable[dict[str, Any] | Lost]]) -> Rows:
    """The rows of a file that has no schema: its first ones say which columns there are."""
    first = [row for row in islice(found(), N_LOOKED_AT) if isinstance(row, dict)]
    types = types_of(first)
    return Rows(types, lambda fields: batches(found(), fields, types))


def types_of(rows: list[dict[str, Any]]) -> dict[str, str]:
    """The columns of some rows, and below those that are objects their fields, a dot between.

    A field of lists of objects is a list of what each has there.
    """
    types: dict[str, str] = {}
    names = dict.fromkeys(name for row in rows for name in row)
    for name in (name for name in names if name == printable(name)):
        values = [row[name] for row in rows if row.get(name) is not None]
        if values and all(isinstance(value, dict) for value in values):
            types[name] = FIELDS
            types |= {f"{name}.{inner}": kind for inner, kind in types_of(values).items()}
        elif values and all(is_texts(value) for value in values):
            types[name] = TEXTS
        elif values and all(_is_objects(value) for value in values):
            types[name] = LISTS_OF_FIELDS
            inner_types = types_of([one for value in values for one in value])
            types |= {f"{name}.{inner}": f"{kind}[]" for inner, kind in inner_types.items()}
        else:
            types[name] = TEXT
    return types


def is_texts(value: Any) -> bool:
    """Whether it is a list of texts, some of which may be None."""
    return isinstance(value, list) and all(one is None or isinstance(one, str) for one in value)


def _is_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def _value(row: dict[str, Any] | Lost, field: Field) -> Any:
    return None if isinstance(row, Lost) else below(row, field)


def below(value: Any, field: Field) -> Any:
    """What lies below a value at the names of a field; None where nothing does."""
    for place, name in enumerate(field):
        if isinstance(value, list):  # the field of each
            return [below(one, field[place:]) for one in value]
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def _array(values: list[Any], types: dict[str, str], field: Field) -> pa.Array:
    if types.get(".".join(field)) == TEXTS:
        return pa.array([_texts(value) for value in values], pa.list_(pa.string()))
    return pa.array([_as_bytes(value) for value in values], pa.large_binary())


def _texts(value: Any) -> list[str | None] | None:
    if value is None:
        return None
    texts = map(_as_bytes, value if isinstance(value, list) else [value])
    return [None if text is None else text.decode("utf-8", "backslashreplace") for text in texts]


def _as_bytes(value: Any) -> bytes | None:
    text = as_text(value)
    if text is None:
        return None
    try:
        return text.encode("utf-8", ODD)
    except UnicodeEncodeError:  # half of a pair, which JSON can write
        return text.encode("utf-8", "backslashreplace")


def as_text(value: Any) -> str | None:
    """A value as text; one that is no text as JSON writes it."""
    return value if value is None or isinstance(value, str) else json.dumps(value)
