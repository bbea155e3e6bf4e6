"""Which column of a file is what: told from its name, and from what it holds where that must be."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from ..core.errors import SourceError
from ..core.quoting import identifier
from ..formats.rows import FIELDS, LISTS_OF_FIELDS, Field
from ..formats.tars import KEY
from .in_texts import field_sql

# What each column may be called, in lower case, the best first. The original size comes before that
# of a stored copy.
NAMES = {
    "caption": ("text", "caption", "top_caption", "alt_text", "captions", "txt"),
    "url": ("url", "image_url", "img_url", "file_name", "coco_url"),
    "width": ("original_width", "width", "image_width"),
    "height": ("original_height", "height", "image_height"),
    "license": ("license",),
    "nsfw": ("nsfw",),
    "similarity": ("similarity", "clip_b32_similarity_score", "clip_similarity_vitb32"),
    "source_id": ("uid", "sample_id", "key", "id", "hash", KEY),
}
# One that goes before all others of its kind: where it is, the others are not asked about.
_BEFORE = {"caption": ("txt",), "url": ("url", "image_url", "img_url", "file_name")}
# What the name of a column may say that holds one, where it is called otherwise.
_LIKE = {
    "caption": ("caption", "text", "txt", "prompt", "description", "title"),
    "url": ("url", "uri", "link", "path", "file", "src"),
}
NUMBERS = {"width", "height", "similarity"}
TEXT_KINDS = ("VARCHAR", "BLOB", "JSON")
_WITH_FIELDS = (FIELDS, LISTS_OF_FIELDS)
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
NUMBER = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*|VARCHAR|BLOB")
_WHOLE_NUMBER = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?")
NESTED = re.compile(r"\]$|^(STRUCT|MAP|UNION|VARIANT|LIST)")
_PICTURE = re.compile(r"://|[/\\]|\.(jpe?g|png|webp|gif|bmp|tiff?)$", re.IGNORECASE)


@dataclass(frozen=True)
class Column:
    """A column of a file, or a field below one, and how it is read."""

    field: Field
    """Of the file itself; below a list of objects, it is that of each."""
    kind: str
    """The type, as DuckDB names it."""
    is_list: bool = False
    is_list_text: bool = False
    """A text that holds a list, as JSON or Python write it."""
    n_of_each: int = 0
    """How many of its names are below the list."""
    below: Field = ()
    """The field of the object that each text of it holds, of JSON or of Python."""

    @property
    def name(self) -> str:
        """How one types it."""
        return ".".join((*self.field, *self.below))

    @property
    def sql(self) -> str:
        """What reads the value in DuckDB: a text, or for captions a list of them."""
        names = list(map(identifier, self.field))
        value = ".".join(names[: len(names) - self.n_of_each])
        if self.n_of_each:
            of_each = ".".join(("one", *names[-self.n_of_each :]))
            value = f"list_transform({value}, lambda one: {of_each})"
        return field_sql(value, self.below) if self.below else value


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


def choose(table: Table, role: str, named: str | None) -> Column:
    """The caption or url column: the one that the study names, or the only one that can be it."""
    option = f"--{role}-column NAME in init, or {role}_column = NAME in [data]"
    if named is not None:
        return resolve(table, named, option)
    possible = possible_columns(table, NAMES[role])
    for name in _BEFORE[role]:
        if len(possible) > 1 and (first := [one for one in possible if one.lower() == name]):
            possible = first if len(first) == 1 else possible
            break
    if not possible and not table.is_named:
        possible = _by_values(table, role)
    if len(possible) != 1:
        found = f"several may hold the {role}" if possible else f"none is known to hold the {role}"
        like = possible or [name for name in table.types if is_like(role, name)]
        perhaps = f" (perhaps {' or '.join(like[:5])})" if like else ""
        raise SourceError(
            f"{table.path}: of its columns {_listed(table.types)} {found}; say {option}{perhaps}"
        )
    return Column(field_of(table, possible[0]), table.types[possible[0]])


def possible_columns(table: Table, names: tuple[str, ...]) -> list[str]:
    """The columns that are called so; a field of `.json` in a tar only where none else is."""
    known = names if KEY in table.types else [name for name in names if name != "txt"]
    top = [name for name in table.types if name.lower() in known]
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
        return Column(field_of(table, named), table.types[named])
    parts = named.split(".")
    for n in range(len(parts) - 1, 0, -1):
        top = ".".join(parts[:n])
        if top not in table.types:
            continue
        for end in range(len(parts), n - 1, -1):
            kind = _kind_below(table.types[top], parts[n:end])
            field, below = (*field_of(table, top), *parts[n:end]), tuple(parts[end:])
            if kind is not None and not below:
                return Column(field, kind)
            if kind is not None and kind.endswith("[]"):
                of_each = _kind_below(kind.removesuffix("[]"), list(below))
                if of_each is not None:
                    return Column((*field, *below), f"{of_each}[]", n_of_each=len(below))
            if kind in TEXT_KINDS:
                return Column(field, "VARCHAR", below=below)
    raise SourceError(
        f"{table.path}: no column {named!r} ({option}); it has: {_listed(table.types)}"
    )


def field_of(table: Table, name: str) -> Field:
    """A column's own name; a field of an object, in a file without a schema, by its parts."""
    parts = name.split(".")
    for n in range(1, len(parts)):
        if table.types.get(".".join(parts[:n])) in _WITH_FIELDS:
            return (".".join(parts[:n]), *_field_of_inner(table, parts, n))
    return (name,)


def _field_of_inner(table: Table, parts: list[str], n: int) -> Field:
    top = ".".join(parts[:n])
    for m in range(n + 1, len(parts)):
        inner = ".".join(parts[n:m])
        if table.types.get(f"{top}.{inner}") in _WITH_FIELDS:
            return (inner, *_field_of_inner(table, parts, m))
    return (".".join(parts[n:]),)


def _kind_below(kind: str, parts: list[str]) -> str | None:
    """The type of a field below a struct, or of itself; None: there is none."""
    import duckdb

    if not parts:
        return kind
    expression = "x" + "".join(f".{identifier(part)}" for part in parts)
    try:
        rows = duckdb.execute(f"select typeof({expression}) from (select null::{kind} as x)")
        return str((rows.fetchone() or ("",))[0])
    except duckdb.Error:
        return None


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


def shape_of(types: dict[str, str]) -> str:
    """Whose columns a file has."""
    names = {name.lower() for name in types}
    return next((shape for shape, marks in _SHAPES if marks <= names), "other")


def _listed(types: dict[str, str]) -> str:
    names = list(types)
    return ", ".join(names[:30]) + (f" and {len(names) - 30:,} more" if len(names) > 30 else "")


def shortened(kind: str) -> str:
    """A type, of which the beginning is shown."""
    return kind if len(kind) < 60 else f"{kind[:60]}…"
