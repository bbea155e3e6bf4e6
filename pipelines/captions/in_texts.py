"""Objects and lists in texts: those of JSON, and those that Python shows (`{'en': 'a cat'}`)."""

import ast
import json
from contextlib import suppress
from typing import Any

import duckdb
import pyarrow as pa
from duckdb.func import ARROW

from ..core.quoting import literal
from ..formats.rows import is_texts

_AS_JSON = "memtriggers_as_json"  # as SQL calls it


def parsed(text: str) -> Any:
    """What a text holds that is a list or an object, of JSON or of Python; else None."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None


def texts_in(text: str | None) -> list[str | None]:
    """The captions in a text that holds a list of them; itself where it holds none."""
    value: Any = None if text is None else parsed(text)
    return list(value) if is_texts(value) else [text]


def field_sql(text: str, below: tuple[str, ...]) -> str:
    """What reads a field of the object in a text in SQL, after `define_as_json`."""
    escaped = (name.replace("~", "~0").replace("/", "~1") for name in below)
    pointer = literal("".join(f"/{name}" for name in escaped))
    # Python is asked only about the rows that are no JSON.
    found = f"coalesce(try_cast({text} as json), try_cast({_AS_JSON}({text}::varchar) as json))"
    return f"json_extract_string({found}, {pointer})"


def define_as_json(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the function of `field_sql`, where it is not there."""
    with suppress(duckdb.NotImplementedException):  # it is
        connection.create_function(_AS_JSON, _as_json, ["varchar"], "varchar", type=ARROW)


def _as_json(texts: pa.ChunkedArray) -> pa.Array:
    return pa.array([_object_as_json(text) for text in texts.to_pylist()], pa.string())


def _object_as_json(text: str) -> str:
    """An object as JSON that DuckDB takes: of Python, or with half of a pair in it.

    A text that holds none is JSON's null: DuckDB takes no None.
    """
    try:
        written = json.dumps(parsed(text), ensure_ascii=False, skipkeys=True, default=str)
    except (ValueError, RecursionError):
        return "null"
    return written.encode("utf-8", "replace").decode()


def fields_in(texts: pa.Array, below: tuple[str, ...]) -> pa.Array:
    """A field of the object in each text, as SQL reads it: large_string, null where it is not."""
    with duckdb.connect() as connection:
        define_as_json(connection)
        connection.register("held", pa.table({"text": texts}))
        found = connection.execute(f"select {field_sql('text', below)} as field from held")
        return found.to_arrow_table()["field"].cast(pa.large_string()).combine_chunks()
