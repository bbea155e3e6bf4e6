"""Which column of a file is what: told from its name, and from what it holds where that must be."""

import ast
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..core.errors import SourceError
from ..core.quoting import identifier, literal
from ..core.study import Data
from ..formats.rows import FIELDS, Field

# What each column may be called, in lower case, the best first. The original size comes before that
# of a stored copy.
NAMES = {
    "caption": ("text", "caption", "top_caption", "alt_text", "txt", "captions", "texts"),
    "url": ("url", "image_url", "img_url", "file_name", "coco_url"),
    "width": ("original_width", "width", "image_width"),
    "height": ("original_height", "height", "image_height"),
    "license": ("license",),
    "nsfw": ("nsfw",),
    "similarity": ("similarity", "clip_b32_similarity_score", "clip_similarity_vitb32"),
    "source_id": ("uid", "sample_id", "key", "id", "hash", "__key__"),
}
# One that goes before all others of its kind: where it is, the others are not asked about.
_BEFORE = {"caption": ("txt",), "url": ("url", "image_url", "img_url", "file_name")}
# What the name of a column may say that holds one, where it is called otherwise.
_LIKE = {
    "caption": ("caption", "text", "txt", "prompt", "description", "title"),
    "url": ("url", "uri", "link", "path", "file", "src"),
}
NUMBERS = {"width", "height", "similarity"}
BYTES = "bytes"  # in place of a column's name: rows are told apart by the bytes of their images

# The known shapes, by columns that only they have; the first whose columns are all there.
_SHAPES = (
    ("img2dataset output", {"key", "status", "error_message"}),
    ("DataComp", {"uid", "clip_l14_similarity_score"}),
    ("COYO", {"image_phash", "clip_similarity_vitb32"}),
    ("LAION aesthetic", {"aesthetic", "similarity"}),
    ("LAION aesthetic", {"aesthetic_score", "similarity"}),
    ("LAION-5B joined", {"hash", "punsafe", "pwatermark"}),
    ("LAION-400M", {"sample_id", "nsfw", "license", "similarity"}),
    ("CC12M", {"image_url", "caption"}),
)
_NUMBER = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*|VARCHAR|BLOB")
_WHOLE_NUMBER = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?")
_NESTED = re.compile(r"\]$|^(STRUCT|MAP|UNION|VARIANT|LIST)")
_PICTURE = re.compile(r"://|[/\\]|\.(jpe?g|png|webp|gif|bmp|tiff?)$", re.IGNORECASE)


@dataclass(frozen=True)
class Column:
    """A column of a file, or a field below one, and how it is read."""

    field: Field
    kind: str
    """The type, as DuckDB names it."""
    is_list: bool = False
    is_list_text: bool = False
    """A text that holds a list, as JSON or Python write it."""
    is_in_text: bool = False
    """A field of the JSON in a column of text."""

    @property
    def name(self) -> str:
        """How one types it."""
        return ".".join(self.field)

    @property
    def sql(self) -> str:
        """What reads the value in DuckDB: a text, or for captions a list of them."""
        top, *inner = self.field
        if self.is_in_text:
            path = literal("$" + "".join(f'."{part}"' for part in inner))
            return f"json_extract_string(try_cast({identifier(top)} as json), {path})"
        return ".".join(map(identifier, self.field))


Columns = dict[str, Column | None]
Look = Callable[[Column], list[str]]


@dataclass(frozen=True)
class Table:
    """What a file has: its columns' types, and what the first rows hold."""

    path: str
    types: dict[str, str]
    look: Look
    """The first texts of a column, those that are not null."""
    is_named: bool = True


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
    column = _choose(table, "caption", data.caption_column)
    if column.kind.endswith("[]"):
        inner = column.kind.removesuffix("[]")
        if _NESTED.search(inner):
            raise _ask_for_field(table, column, inner)
        return Column(column.field, column.kind, is_list=True)
    if _NESTED.search(column.kind):
        raise _ask_for_field(table, column, column.kind)
    if column.kind not in ("VARCHAR", "BLOB", "JSON") or column.is_in_text:
        return column
    texts = [text for text in table.look(column) if text.strip()]
    if texts and all(isinstance(_parsed(text), dict) for text in texts):
        fields = dict.fromkeys(key for text in texts for key in _parsed(text))
        raise _ask(table, column, "JSON objects", [f"{column.name}.{key}" for key in fields])
    if texts and all(_is_texts(_parsed(text)) for text in texts):
        return Column(column.field, column.kind, is_list=True, is_list_text=True)
    return column


def _parsed(text: str) -> Any:
    """What a text holds that is a list or an object, of JSON or of Python; else None."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(one is None or isinstance(one, str) for one in value)


def texts_in(text: str | None) -> list[str | None]:
    """The captions in a text that holds a list of them; itself where it holds none."""
    value = None if text is None else _parsed(text)
    return value if _is_texts(value) else [text]


def _find_url(table: Table, data: Data) -> Column | None:
    has_images = data.image_column is not None or data.image_tars
    names = NAMES["url"] if data.image_root is not None or not has_images else NAMES["url"][:3]
    if data.url_column is None and has_images and not _possible(table, names):
        return _simple(table, _first(list(table.types), names), "url")
    if data.url_column is None and data.image_root is None and "coco_url" in table.types:
        return _simple(table, "coco_url", "url")
    if data.url_column is None and set(table.types) == {"path", "text"}:
        return _simple(table, "path", "url")  # a folder of pictures
    column = _choose(table, "url", data.url_column)
    if _NESTED.search(column.kind):
        raise SourceError(
            f"{table.path}: the column {column.name} holds {_shortened(column.kind)}, no "
            "addresses; say --url-column NAME in init, or url_column = NAME in [data]"
        )
    return column


def _choose(table: Table, role: str, named: str | None) -> Column:
    """The caption or url column: the one that the study names, or the only one that can be it."""
    option = f"--{role}-column NAME in init, or {role}_column = NAME in [data]"
    if named is not None:
        return resolve(table, named, option)
    possible = _possible(table, NAMES[role])
    for name in _BEFORE[role]:
        if len(possible) > 1 and (first := [one for one in possible if one.lower() == name]):
            possible = first if len(first) == 1 else possible
            break
    if not possible and not table.is_named:
        possible = _by_values(table, role)
    if len(possible) != 1:
        what = "addresses" if role == "url" else "captions"
        found = f"several may hold the {role}" if possible else f"none is known to hold the {role}"
        like = possible or [name for name in table.types if is_like(role, name)]
        perhaps = f" (perhaps {' or '.join(like[:5])})" if like else ""
        del what
        raise SourceError(
            f"{table.path}: of its columns {_listed(table.types)} {found}; say {option}{perhaps}"
        )
    return Column(_field_of(table, possible[0]), table.types[possible[0]])


def _possible(table: Table, names: tuple[str, ...]) -> list[str]:
    """The columns that are called so; a field of `.json` in a tar only where none else is."""
    top = [name for name in table.types if name.lower() in names]
    return top or [
        name for name in table.types if name.startswith("json.") and name[5:].lower() in names
    ]


def _by_values(table: Table, role: str) -> list[str]:
    """Of columns without names, those that hold addresses or paths, or the only texts else."""
    texts = {name: table.look(Column((name,), kind)) for name, kind in table.types.items()}
    places = [name for name, found in texts.items() if found and all(map(_PICTURE.search, found))]
    if role == "url":
        return places
    return [name for name, found in texts.items() if name not in places and _are_words(found)]


def _are_words(texts: list[str]) -> bool:
    return sum(" " in text.strip() for text in texts) * 2 > len(texts)


def resolve(table: Table, named: str, option: str) -> Column:
    """The column or field of a name that someone typed: `image.path` is a field of `image`.

    Raises:
        SourceError: there is none; names those that there are.

    """
    if named in table.types:
        return Column(_field_of(table, named), table.types[named])
    parts = named.split(".")
    for n in range(len(parts) - 1, 0, -1):
        top = ".".join(parts[:n])
        if top not in table.types:
            continue
        kind = table.types[top]
        if kind in ("VARCHAR", "BLOB", "JSON"):
            return Column((top, *parts[n:]), "VARCHAR", is_in_text=True)
        inner = _kind_below(kind, parts[n:])
        if inner is not None:
            return Column((top, *parts[n:]), inner)
    raise SourceError(
        f"{table.path}: no column {named!r} ({option}); it has: {_listed(table.types)}"
    )


def _field_of(table: Table, name: str) -> Field:
    """A column's own name; a field of an object, in a file without a schema, by its parts."""
    parts = name.split(".")
    for n in range(1, len(parts)):
        if table.types.get(".".join(parts[:n])) == FIELDS:
            return (".".join(parts[:n]), *_field_of_inner(table, parts, n))
    return (name,)


def _field_of_inner(table: Table, parts: list[str], n: int) -> Field:
    top = ".".join(parts[:n])
    for m in range(n + 1, len(parts)):
        inner = ".".join(parts[n:m])
        if table.types.get(f"{top}.{inner}") == FIELDS:
            return (inner, *_field_of_inner(table, parts, m))
    return (".".join(parts[n:]),)


def _kind_below(kind: str, parts: list[str]) -> str | None:
    """The type of a field below a struct, or of a list of structs; None: there is none."""
    import duckdb

    expression = "x" + "".join(f".{identifier(part)}" for part in parts)
    try:
        rows = duckdb.execute(f"select typeof({expression}) from (select null::{kind} as x)")
        return str((rows.fetchone() or ("",))[0])
    except duckdb.Error:
        return None


def _simple(table: Table, name: str | None, role: str) -> Column | None:
    """A column that nobody named, where it can be read as what it is to be."""
    if name is None or _NESTED.search(table.types[name]):
        return None
    if role in NUMBERS and not _NUMBER.fullmatch(table.types[name]):
        return None
    return Column(_field_of(table, name), table.types[name])


def _named(table: Table, role: str, name: str) -> Column:
    column = resolve(
        table, name, f"--{role}-column NAME in init, or {role}_column = NAME in [data]"
    )
    if _NESTED.search(column.kind):
        raise SourceError(
            f"{table.path}: the column {name} holds {_shortened(column.kind)}, no texts"
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


def other_captions(types: dict[str, str], columns: Columns) -> list[str]:
    """Columns of text that are not the caption, and whose names say that they hold some."""
    used = {column.name for column in columns.values() if column is not None}
    return [
        name
        for name, kind in types.items()
        if kind == "VARCHAR" and name not in used and is_like("caption", name)
    ]


def is_like(role: str, name: str) -> bool:
    """Whether a name says that a column may hold the caption, or the url."""
    return any(part in name.lower() for part in _LIKE[role])


def is_whole_number(kind: str) -> bool:
    """Whether a type holds whole numbers, none of which is NaN."""
    return bool(_WHOLE_NUMBER.fullmatch(kind))


def _first(names: list[str], wanted: tuple[str, ...]) -> str | None:
    lower = {name.lower(): name for name in reversed(names)}
    fields = {name[5:].lower(): name for name in reversed(names) if name.startswith("json.")}
    return next((lower[name] for name in wanted if name in lower), None) or next(
        (fields[name] for name in wanted if name in fields), None
    )


def shape_of(types: dict[str, str]) -> str:
    """Whose columns a file has."""
    names = {name.lower() for name in types}
    return next((shape for shape, marks in _SHAPES if marks <= names), "other")


def _listed(types: dict[str, str]) -> str:
    names = list(types)
    return ", ".join(names[:30]) + (f" and {len(names) - 30:,} more" if len(names) > 30 else "")


def _shortened(kind: str) -> str:
    return kind if len(kind) < 60 else f"{kind[:60]}…"
