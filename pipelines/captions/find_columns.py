"""Finds the columns of a file that the view `source` is made of, and what its captions are."""

from dataclasses import replace

from ..core.errors import SourceError
from ..core.study import Data
from ..formats.rows import FIELDS, is_texts
from .columns import (
    BYTES,
    NAMES,
    NESTED,
    NUMBER,
    NUMBERS,
    TEXT_KINDS,
    Column,
    Columns,
    Table,
    choose,
    field_of,
    possible_columns,
    resolve,
    shortened,
)
from .in_texts import parsed


def find_columns(table: Table, data: Data) -> Columns:
    """Which column is which; None for those that a file lacks.

    Raises:
        SourceError: the caption's or the url's cannot be told, or one that is named is not there.

    """
    columns: Columns = {
        role: _simple(table, _first(list(table.types), names), role)
        for role, names in NAMES.items()
    }
    columns["caption"] = find_caption(table, data)
    columns["url"] = _find_url(table, data)
    if data.key_column is not None:
        is_bytes = data.key_column == BYTES and BYTES not in table.types
        columns["source_id"] = None if is_bytes else _named(table, "key", data.key_column)
        columns["url"] = None if is_bytes or data.url_column is None else columns["url"]
    if data.image_column is not None and not data.image_tars:
        resolve(table, data.image_column, "image_column in [data]")
    for name in data.columns:
        resolve(table, name, "columns in [data]")
    return columns


def find_caption(table: Table, data: Data) -> Column:
    """The column of the captions, and whether it holds lists of them."""
    column = choose(table, "caption", data.caption_column)
    if column.kind.endswith("[]"):
        inner = column.kind.removesuffix("[]")
        if NESTED.search(inner):
            raise _ask_for_field(table, column, inner)
        return replace(column, is_list=True)
    if NESTED.search(column.kind):
        raise _ask_for_field(table, column, column.kind)
    if column.kind not in TEXT_KINDS:
        return column
    values = [parsed(text) for text in table.look(column) if text.strip()]
    if values and all(isinstance(value, dict) for value in values):
        fields = dict.fromkeys(key for value in values for key in value)
        raise _ask(table, column, "objects as text", [f"{column.name}.{key}" for key in fields])
    if values and all(map(is_texts, values)):
        return replace(column, is_list=True, is_list_text=True)
    if values and all(isinstance(value, list) for value in values):
        raise _ask(table, column, "lists as text, not of texts alone", [])
    return column


def _find_url(table: Table, data: Data) -> Column | None:
    has_images = data.image_column is not None or data.image_tars
    names = NAMES["url"] if data.image_root is not None or not has_images else NAMES["url"][:3]
    if data.url_column is None and has_images and not possible_columns(table, names):
        return _simple(table, _first(list(table.types), names), "url")
    if data.url_column is None and data.image_root is None and "coco_url" in table.types:
        return _simple(table, "coco_url", "url")
    if data.url_column is None and set(table.types) == {"path", "text"}:
        return _simple(table, "path", "url")  # a folder of pictures
    column = choose(table, "url", data.url_column)
    if NESTED.search(column.kind):
        raise SourceError(
            f"{table.path}: the column {column.name} holds {shortened(column.kind)}, no "
            "addresses; say --url-column NAME in init, or url_column = NAME in [data]"
        )
    return column


def _simple(table: Table, name: str | None, role: str) -> Column | None:
    """A column that nobody named, where it can be read as what it is to be."""
    if name is None or NESTED.search(table.types[name]):
        return None
    if role in NUMBERS and not NUMBER.fullmatch(table.types[name]):
        return None
    return Column(field_of(table, name), table.types[name])


def _named(table: Table, role: str, name: str) -> Column:
    column = resolve(
        table, name, f"--{role}-column NAME in init, or {role}_column = NAME in [data]"
    )
    if NESTED.search(column.kind):
        raise SourceError(
            f"{table.path}: the column {name} holds {shortened(column.kind)}, no texts"
        )
    return column


def _ask_for_field(table: Table, column: Column, kind: str) -> SourceError:
    if kind == FIELDS:
        start = f"{column.name}."
        fields = [name for name in table.types if name.startswith(start)]
    else:
        fields = [f"{column.name}.{name}" for name in _fields_of(kind)]
    what = "lists of objects" if column.kind.endswith("[]") else "objects"
    return _ask(table, column, what, fields)


def _fields_of(kind: str) -> list[str]:
    import duckdb

    if not kind.startswith("STRUCT"):
        return []
    rows = duckdb.execute(f"describe select unnest(null::{kind})").fetchall()
    return [row[0] for row in rows]


def _ask(table: Table, column: Column, what: str, fields: list[str]) -> SourceError:
    which = f"say which field: --caption-column {' or '.join(fields[:5])}" if fields else ""
    return SourceError(
        f"{table.path}: the column {column.name} holds {what}, no captions; "
        + (which or "name a column of texts: --caption-column NAME")
        + ", or caption_column in [data]"
    )


def _first(names: list[str], wanted: tuple[str, ...]) -> str | None:
    lower = {name.lower(): name for name in reversed(names)}
    fields = {name[5:].lower(): name for name in reversed(names) if name.startswith("json.")}
    return next((lower[name] for name in wanted if name in lower), None) or next(
        (fields[name] for name in wanted if name in fields), None
    )
