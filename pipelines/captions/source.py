"""The LAION-shaped parquet as one view, `source`, whatever its columns are called."""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from glob import escape, glob
from pathlib import Path

import duckdb

from ..core.database import first_line, query
from ..core.errors import SourceError
from ..core.quoting import identifier, literal
from ..core.study import Data, Study

# What each column may be called, in lower case, the best first. The original size comes before that
# of a stored copy.
_NAMES = {
    "caption": ("text", "caption", "top_caption", "alt_text"),
    "url": ("url", "image_url", "img_url"),
    "width": ("original_width", "width", "image_width"),
    "height": ("original_height", "height", "image_height"),
    "license": ("license",),
    "nsfw": ("nsfw",),
    "similarity": ("similarity", "clip_b32_similarity_score", "clip_similarity_vitb32"),
    "source_id": ("uid", "sample_id", "key", "id", "hash"),
}
# What the name of a column may say that holds one, where it is called otherwise.
_LIKE = {
    "caption": ("caption", "text", "txt", "prompt", "description", "title"),
    "url": ("url", "uri", "link", "path", "file", "src"),
}
_NUMBERS = {"width", "height", "similarity"}
_WHOLE_NUMBERS = {"SMALLINT", "INTEGER", "BIGINT", "USMALLINT", "UINTEGER", "UBIGINT"}

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


# What DuckDB adds to a file's columns: the name of the file is called as no column is, the number
# of the row always so.
_FILE, _ROW = "memtriggers_file", "file_row_number"

# In a readable copy of a file: the file, and the text for which a row is not readable, escaped.
ORIGINAL, NOT_UTF8 = "memtriggers_source_file", "memtriggers_not_utf8"
_IS_READABLE = "(observed_value is null)"
_SAID = "source_file, source_row, observed_value, url, caption"
_NOTHING = "null::varchar, null::bigint, null::varchar, null::varchar, null::varchar"


@dataclass(frozen=True)
class SourceFile:
    """One parquet file: which of its columns is what (None: it has none)."""

    path: str
    shape: str
    n_rows: int
    columns: dict[str, str | None]
    types: dict[str, str]

    @property
    def has_own_numbers(self) -> bool:
        """Whether a column is called as DuckDB numbers rows, so that a copy is read instead."""
        return self.n_rows > 0 and any(name.lower() == _ROW for name in self.types)

    @property
    def select(self) -> str:
        """The columns of `source`, read from this file's own."""
        return ", ".join(
            f"{self._read_as(column, name)} as {column}" for column, name in self.columns.items()
        )

    def _read_as(self, column: str, name: str | None) -> str:
        wanted = "double" if column in _NUMBERS else "varchar"
        if name is None:
            return f"null::{wanted}"
        value = f"try_cast({identifier(name)} as {wanted})"
        if column not in _NUMBERS or self.types[name] in _WHOLE_NUMBERS:
            return value
        return f"if(isnan({value}), null, {value})"  # pandas writes a missing number as NaN


def open_source(connection: duckdb.DuckDBPyConnection, study: Study) -> list[SourceFile]:
    """Create the view `source` and the macros of `captions/macros`; returns the files it reads.

    The view: source_file, source_row (0-based in its file), source_id, url, caption, width, height,
    license, nsfw, similarity. It is read in `unreadable.read_source`.

    Raises:
        SourceError: no file, an unreadable one, or a column that cannot be told; names the file.

    """
    define_macros(connection)
    files = read_source_files(study, connection)
    create_source(connection, files, {})
    return files


def create_source(
    connection: duckdb.DuckDBPyConnection, files: list[SourceFile], copies: Mapping[str, str]
) -> None:
    """Create the view `source`, and the table unreadable_rows of what copies of files leave out.

    A file that has to be read from a copy and has none yet is not in the view, but in the table
    files_to_copy.
    """
    groups: dict[tuple[str, bool], list[str]] = {}
    waiting = [file.path for file in files if file.has_own_numbers and file.path not in copies]
    for file in files:
        if file.path in waiting or not file.n_rows:
            continue
        groups.setdefault((file.select, file.path in copies), []).append(file.path)
    selects, unreadable = [], [f"select {_NOTHING} where false"]
    connection.execute(
        "create or replace temp table files_to_copy as select unnest($files::varchar[]) as file",
        {"files": waiting},
    )
    for (select, is_copied), paths in groups.items():
        if is_copied:
            rows = (
                f"(select {ORIGINAL} as source_file, {_ROW} as source_row, "
                f"{NOT_UTF8} as observed_value, {select} "
                f"from {open_files([copies[path] for path in paths])})"
            )
            selects.append(f"select * exclude (observed_value) from {rows} where {_IS_READABLE}")
            unreadable.append(f"select {_SAID} from {rows} where not {_IS_READABLE}")
        else:
            selects.append(
                f"select {_FILE} as source_file, {_ROW} as source_row, {select} "
                f"from {open_files(paths)}"
            )
    selects = selects or [_no_rows()]
    connection.execute(f"create or replace temp view source as {' union all '.join(selects)}")
    connection.execute(
        f"create or replace temp table unreadable_rows({_SAID}) as {' union all '.join(unreadable)}"
    )


def open_files(paths: list[str]) -> str:
    """What reads parquet files in SQL, with the name of the file and the number of the row."""
    return (
        f"read_parquet([{', '.join(literal(as_pattern(path)) for path in paths)}], "
        f"filename = {literal(_FILE)}, {_ROW} = true, union_by_name = true, "
        "binary_as_string = true)"
    )


def _no_rows() -> str:
    columns = {name: "double" if name in _NUMBERS else "varchar" for name in _NAMES}
    kinds = {"source_file": "varchar", "source_row": "bigint"} | columns
    nulls = ", ".join(f"null::{kind} as {name}" for name, kind in kinds.items())
    return f"select {nulls} where false"


def define_macros(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the macros of `sql/captions/macros.sql`: the rules of tokens, words and identity."""
    # Called with one text, no Arrow array: few have an entity, and a call costs as much as many.
    connection.create_function("unescape_html", _unescape_html, ["varchar"], "varchar")
    connection.execute(query("captions/macros"))


def read_source_files(study: Study, connection: duckdb.DuckDBPyConnection) -> list[SourceFile]:
    """Look at the columns of every file of the study; of files that are alike, once."""
    paths = find_files(study)
    values = {"files": [as_pattern(path) for path in paths]}
    try:
        footers = connection.execute(query("captions/footers"), values).fetchall()
    except duckdb.Error:
        footers = []
    found = {path: (n_rows, schema) for path, n_rows, schema in footers}
    if found.keys() != set(paths):  # one is at fault, which is said when it is read alone
        return [_read_source_file(path, study.data, connection) for path in paths]
    types: dict[str, dict[str, str]] = {}
    files = []
    for path in paths:
        n_rows, schema = found[path]
        if schema not in types:
            types[schema] = _read_types(path, connection)
        files.append(_source_file(path, study.data, n_rows, types[schema]))
    return files


def find_files(study: Study) -> list[str]:
    """The files behind `[data] parquet`, absolute and sorted; raises SourceError for none."""
    found: list[str] = []
    for pattern in study.data.parquet:
        path = study.path(pattern)
        files = glob_files(path)
        if not files:
            raise SourceError(f"{path}: no such file; mend [data] parquet in the study")
        found += files
    return sorted(set(found))


def glob_files(path: str) -> list[str]:
    """The files behind an absolute path or an address, which may be a pattern."""
    return _glob_remote(path) if "://" in path else _glob_local(path)


def _glob_local(pattern: str) -> list[str]:
    return [pattern] if Path(pattern).is_file() else glob(pattern, recursive=True)


def as_pattern(path: str) -> str:
    """A file's name as DuckDB must read it, which takes every name for a pattern."""
    return path if "://" in path else escape(path)


def _glob_remote(pattern: str) -> list[str]:
    try:
        return [row[0] for row in duckdb.execute("from glob($p)", {"p": pattern}).fetchall()]
    except duckdb.Error as error:
        raise SourceError(f"{pattern}: cannot be listed: {first_line(error)}") from None


def _read_source_file(path: str, data: Data, connection: duckdb.DuckDBPyConnection) -> SourceFile:
    try:
        types = _read_types(path, connection)
        (n_rows,) = connection.execute(
            "select sum(num_rows)::bigint from parquet_file_metadata($path)",
            {"path": as_pattern(path)},
        ).fetchone() or (0,)
    except duckdb.Error as error:
        raise SourceError(
            f"{path}: not a readable parquet file ({first_line(error)}); fetch it again or take it "
            "out of [data] parquet"
        ) from None
    return _source_file(path, data, n_rows, types)


def _read_types(path: str, connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    values = {"path": as_pattern(path)}
    rows = connection.execute("describe from read_parquet($path)", values).fetchall()
    return {row[0]: row[1] for row in rows}


def _source_file(path: str, data: Data, n_rows: int, types: dict[str, str]) -> SourceFile:
    columns = _find_columns(path, list(types), data)
    return SourceFile(path, _shape(types), n_rows, columns, types)


def _find_columns(path: str, names: list[str], data: Data) -> dict[str, str | None]:
    columns = {column: _first(names, wanted) for column, wanted in _NAMES.items()}
    columns["caption"] = _choose("caption", path, names, data.caption_column)
    has_images = data.image_column is not None
    if data.url_column is not None or not has_images or columns["url"] is not None:
        columns["url"] = _choose("url", path, names, data.url_column)
    elif columns["source_id"] is None:
        raise SourceError(
            f"{path}: no column tells its rows apart; name one: --url-column NAME in init, or "
            "url_column = NAME in [data]"
        )
    if has_images and data.image_column not in names:
        raise SourceError(
            f"{path}: no column {data.image_column!r} (image_column in [data]); it has: "
            + ", ".join(names)
        )
    return columns


def _choose(column: str, path: str, names: list[str], named: str | None) -> str:
    """The caption or url column: the one that the study names, or the only one that can be it."""
    option = f"--{column}-column NAME in init, or {column}_column = NAME in [data]"
    if named is not None:
        if named not in names:
            raise SourceError(f"{path}: no column {named!r} ({option}); it has: {', '.join(names)}")
        return named
    possible = [name for name in names if name.lower() in _NAMES[column]]
    if len(possible) != 1:
        found = (
            f"several may hold the {column}" if possible else f"none is known to hold the {column}"
        )
        like = possible or [name for name in names if _is_like(column, name)]
        perhaps = f" (perhaps {' or '.join(like)})" if like else ""
        raise SourceError(
            f"{path}: of its columns {', '.join(names)} {found}; say {option}{perhaps}"
        )
    return possible[0]


def other_captions(file: SourceFile) -> list[str]:
    """Columns of text that are not the caption, and whose names say that they hold some."""
    return [
        name
        for name, kind in file.types.items()
        if kind == "VARCHAR" and name not in file.columns.values() and _is_like("caption", name)
    ]


def _is_like(column: str, name: str) -> bool:
    return any(part in name.lower() for part in _LIKE[column])


def _first(names: list[str], wanted: tuple[str, ...]) -> str | None:
    lower = {name.lower(): name for name in reversed(names)}
    return next((lower[name] for name in wanted if name in lower), None)


def _shape(types: dict[str, str]) -> str:
    names = {name.lower() for name in types}
    return next((shape for shape, marks in _SHAPES if marks <= names), "other")


def _unescape_html(caption: str) -> str:
    """Entities decoded twice (`&amp;quot;` is common in alt texts), as open_clip does."""
    return html.unescape(html.unescape(caption))
