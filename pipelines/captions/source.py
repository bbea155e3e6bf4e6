"""The rows of a study as one view, `source`, whatever their files are and their columns called."""

import html
from collections.abc import Iterator
from dataclasses import dataclass, replace
from os.path import relpath
from pathlib import Path

import duckdb

from ..core.database import first_line, query
from ..core.errors import SourceError
from ..core.lake import Lake
from ..core.quoting import identifier, literal
from ..core.study import Data, Study
from ..formats.registry import PARQUET, Format, format_of
from ..formats.rows import OBSERVED, ROW, RULE, Field, Rows
from .columns import (
    NAMES,
    NUMBERS,
    Column,
    Columns,
    Look,
    Table,
    find_columns,
    is_whole_number,
    resolve,
    shape_of,
)
from .copies import Copies, open_rows
from .files import as_pattern, find_files, is_metadata, is_parquet
from .remote import explained

# What DuckDB adds to a file's columns: the name of the file is called as no column is, the number
# of the row always so.
_FILE, _NUMBER = "memtriggers_file", "file_row_number"
_N_LOOKED_AT = 100  # first texts of a column

_LIST_IN_TEXT = (
    "coalesce(try_cast(try_cast({0} as json) as varchar[]), try_cast({0} as varchar[]), [{0}])"
)


@dataclass(frozen=True)
class SourceFile:
    """One file of rows: which of its columns is what (None: it has none)."""

    path: str
    format: str
    shape: str
    n_rows: int | None
    """None: not counted yet."""
    columns: Columns
    types: dict[str, str]
    carried: tuple[Column, ...] = ()
    """The columns that the study carries through."""
    prefix: str = ""
    """What the paths in its url column lack before them."""
    copy: str | None = None
    """The parquet that is read in its place."""
    problem: str | None = None
    """Why it cannot be opened, where the study passes over such files."""

    @property
    def needs_copy(self) -> bool:
        """Whether DuckDB does not read it as it is."""
        if self.format != PARQUET:
            return True
        names = [name.lower() for name in self.types]
        return self.n_rows != 0 and (_NUMBER in names or len(set(names)) < len(names))

    @property
    def fields(self) -> tuple[Field, ...]:
        """What a copy holds beside its columns."""
        return tuple(column.field for column in self.carried)

    @property
    def select(self) -> str:
        """The columns of `source`, read from this file's own, or from its copy."""
        values = [f"{self._value(role)} as {role}" for role in self.columns]
        values += [
            f"{self._carried(n)} as memtriggers_column_{n}" for n in range(len(self.carried))
        ]
        return ", ".join(values)

    def _read(self, role: str) -> str | None:
        column = self.columns[role]
        if column is None:
            return None
        return identifier(role) if self.copy is not None else column.sql

    def _carried(self, n: int) -> str:
        return f"m{n}" if self.copy is not None else self.carried[n].sql

    def _value(self, role: str) -> str:
        wanted = "double" if role in NUMBERS else "varchar"
        column, value = self.columns[role], self._read(role)
        if column is None or value is None:
            return f"null::{wanted}"
        if column.is_list:
            return f"unnest({self._captions(column, value)})"
        value = f"try_cast({value} as {wanted})"
        if role == "url" and self.prefix:
            return f"{literal(self.prefix)} || {value}"
        if role not in NUMBERS or is_whole_number(column.kind):
            return value
        return f"if(isnan({value}), null, {value})"  # pandas writes a missing number as NaN

    def _captions(self, column: Column, value: str) -> str:
        """The list of captions; one null where there is none, so that the row leaves a trace."""
        if column.is_list_text and self.copy is None:
            value = _LIST_IN_TEXT.format(value)
        return f"case when len({value}) > 0 then {value}::varchar[] else [null::varchar] end"

    @property
    def caption_number(self) -> str:
        """Which caption of its row each is, from 0."""
        column, value = self.columns["caption"], self._read("caption")
        if column is None or value is None or not column.is_list:
            return "0::bigint"
        return f"unnest(range(len({self._captions(column, value)})))"


def open_source(
    connection: duckdb.DuckDBPyConnection, study: Study, lake: Lake
) -> list[SourceFile]:
    """Create the view `source` and the macros of `captions/macros`; returns the files it reads.

    The view: source_file, source_row (0-based in its file), caption_number (0-based in its row),
    source_id, url, caption, width, height, license, nsfw, similarity; memtriggers_column_0, … for
    `[data] columns`. It is read in `unreadable.read_source`. What DuckDB does not read has a copy
    in the lake.

    Raises:
        SourceError: no file, an unreadable one, or a column that cannot be told; names the file.

    """
    define_macros(connection)
    files = copy_files(read_source_files(study, connection), lake)
    create_source(connection, files)
    return files


def copy_files(files: list[SourceFile], lake: Lake) -> list[SourceFile]:
    """The files, with the copies of those that need one, or that have one."""
    copies = Copies(lake)
    wanted = [file for file in files if file.problem is None and (copies or file.needs_copy)]
    keys = copies.paths((file.path, file.format, file.columns, file.fields) for file in wanted)
    copied = {}
    for file, copy in zip(wanted, keys, strict=True):
        if not copies.has(copy):
            if not file.needs_copy:
                continue
            copies.write(copy, open_rows(file.path, file.format), file.columns, file.fields)
        copied[file.path] = with_copy(file, copy)
    return [copied.get(file.path, file) for file in files]


def with_copy(file: SourceFile, copy: Path) -> SourceFile:
    """A file that is read from a copy, whose rows are counted."""
    import pyarrow.parquet as pq

    return replace(file, copy=str(copy), n_rows=pq.read_metadata(copy).num_rows)


def create_source(connection: duckdb.DuckDBPyConnection, files: list[SourceFile]) -> None:
    """Create the view `source`, and the table unreadable_rows of what copies cannot give."""
    groups: dict[tuple[str, str, str], list[SourceFile]] = {}
    for file in files:
        if file.n_rows != 0 and file.problem is None:
            alike = "" if file.copy is not None else str(file.types)
            groups.setdefault((file.select, file.caption_number, alike), []).append(file)
    selects, unreadable = [], [_NO_UNREADABLE]
    for (select, number, _), some in groups.items():
        if some[0].copy is not None:
            rows = _of_copies(some)
            selects.append(
                f"select source_file, {ROW}, {number} as caption_number, {select} from {rows} "
                f"where {RULE} is null"
            )
            unreadable.append(_unreadable(some[0], rows))
        else:
            selects.append(
                f"select {_FILE} as source_file, {_NUMBER} as source_row, "
                f"{number} as caption_number, {select} "
                f"from {open_files([file.path for file in some])}"
            )
    selects = selects or [_no_rows()]
    connection.execute(f"create or replace temp view source as {' union all '.join(selects)}")
    connection.execute(
        f"create or replace temp table unreadable_rows ({', '.join(_UNREADABLE)}) as "
        f"{' union all '.join(unreadable)}"
    )


_UNREADABLE = ("source_file", "source_row", "rule", "observed_value", "url", "caption")
_NO_UNREADABLE = (
    "select null::varchar, null::bigint, null::varchar, null::varchar, null::varchar, null::varchar"
    " where false"
)


def _of_copies(files: list[SourceFile]) -> str:
    """What reads the copies of files, each with the name of its file; equal files share one."""
    copies = ", ".join(literal(copy) for copy in dict.fromkeys(str(file.copy) for file in files))
    pairs = ", ".join(f"({literal(str(file.copy))}, {literal(file.path)})" for file in files)
    return (
        f"read_parquet([{copies}], filename = {literal(_FILE)}) "
        f"join (values {pairs}) as copied(copy, source_file) on {_FILE} = copy"
    )


def _unreadable(file: SourceFile, rows: str) -> str:
    captions = file.columns["caption"]
    is_list = captions is not None and captions.is_list
    url = "null" if file.columns["url"] is None else "url"
    caption = "array_to_string(caption, ' ')" if is_list else "caption"
    return (
        f"select source_file, {ROW}, {RULE}, {OBSERVED}, {url}, {caption} from {rows} "
        f"where {RULE} is not null"
    )


def open_files(paths: list[str]) -> str:
    """What reads parquet files of one schema in SQL, with the file's name and the row's number."""
    return (
        f"read_parquet([{', '.join(literal(as_pattern(path)) for path in paths)}], "
        f"filename = {literal(_FILE)}, {_NUMBER} = true, binary_as_string = true)"
    )


def _no_rows() -> str:
    columns = {name: "double" if name in NUMBERS else "varchar" for name in NAMES}
    kinds = {"source_file": "varchar", "source_row": "bigint", "caption_number": "bigint"} | columns
    nulls = ", ".join(f"null::{kind} as {name}" for name, kind in kinds.items())
    return f"select {nulls} where false"


def first_urls(file: SourceFile, n: int) -> list[tuple[str | None, int]]:
    """The first urls of a file that DuckDB does not read, with their rows; no copy is made."""
    url = file.columns["url"]
    found = next(open_rows(file.path, file.format).read([url.field] if url else []), None)
    if found is None:
        return []
    some = found.slice(0, n)
    rows: list[int] = some.column(ROW).to_pylist()
    texts = some.column(0).to_pylist() if url else [None] * len(rows)
    urls = [t.decode("utf-8", "backslashreplace") if isinstance(t, bytes) else t for t in texts]
    return [(u and file.prefix + u, row) for u, row in zip(urls, rows, strict=True)]


def define_macros(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the macros of `sql/captions/macros.sql`: the rules of tokens, words and identity."""
    # Called with one text, no Arrow array: few have an entity, and a call costs as much as many.
    connection.create_function("unescape_html", _unescape_html, ["varchar"], "varchar")
    connection.execute(query("captions/macros"))


def read_source_files(study: Study, connection: duckdb.DuckDBPyConnection) -> list[SourceFile]:
    """Look at the columns of every file of the study; of parquet files that are alike, once."""
    paths = find_files(study)
    footers = _read_footers([path for path in paths if is_parquet(path)], connection)
    described: dict[str, SourceFile] = {}
    files = []
    for path in paths:
        n_rows, schema = footers.get(path, (0, None))
        if schema is not None and schema in described:
            files.append(_placed(replace(described[schema], path=path, n_rows=n_rows), study))
            continue
        file = _open_or_pass(path, study, connection)
        if schema is not None and file.problem is None and n_rows:
            described[schema] = file
        files.append(file)
    if files and all(file.problem is not None for file in files):
        raise SourceError(
            f"{files[0].path}: {files[0].problem}; no file of [data] rows can be read"
        )
    return files


def _read_footers(
    paths: list[str], connection: duckdb.DuckDBPyConnection
) -> dict[str, tuple[int, str]]:
    """The rows and the schema of each file, as one text; none where one is at fault."""
    if not paths:
        return {}
    values = {"files": [as_pattern(path) for path in paths]}
    try:
        found = connection.execute(query("captions/footers"), values).fetchall()
    except duckdb.Error:
        return {}
    footers = {path: (n_rows, schema) for path, n_rows, schema in found}
    return footers if footers.keys() == set(paths) else {}


def _open_or_pass(path: str, study: Study, connection: duckdb.DuckDBPyConnection) -> SourceFile:
    try:
        opened = _open(path, connection)
    except SourceError as error:
        if study.data.on_bad_file != "skip":
            raise
        problem = str(error).removeprefix(f"{path}: ").split(";")[0]
        return SourceFile(path, "", "", 0, dict.fromkeys(NAMES), {}, problem=problem)
    form, table, n_rows, pictures = opened
    data = study.data
    _require_place(path, form, data, pictures)
    columns = find_columns(table, data)
    carried = tuple(resolve(table, name, "columns in [data]") for name in data.columns)
    file = SourceFile(path, form.name, shape_of(table.types), n_rows, columns, table.types, carried)
    return _placed(file, study)


def _require_place(path: str, form: Format, data: Data, pictures: tuple[str, ...]) -> None:
    """Raise SourceError where the study does not say that the images are in the rows' own file."""
    if form.name == "tar" and not data.image_tars:
        raise SourceError(f"{path}: holds its images: write image_tars = true in [data]")
    if form.name == "folder" and data.image_root is None:
        raise SourceError(
            f"{path}: is a folder of pictures: write image_root = its name, or one above, in [data]"
        )
    if pictures and data.image_column not in pictures:
        raise SourceError(
            f"{path}: a key has several pictures; say which: --image-column "
            f"{' or '.join(pictures)} in init, or image_column in [data]"
        )


def _placed(file: SourceFile, study: Study) -> SourceFile:
    """A file whose paths are below its own folder, with what they lack below the study's."""
    root, here = study.data.image_root, str(Path(file.path).parent)
    if root is None or not (is_metadata(file.path) or file.format == "folder"):
        return file
    here = file.path if file.format == "folder" else here
    prefix = relpath(here, study.path(root))
    return replace(file, prefix="" if prefix == "." else f"{prefix}/")


def _open(
    path: str, connection: duckdb.DuckDBPyConnection
) -> tuple[Format, Table, int | None, tuple[str, ...]]:
    form = format_of(path)
    if form.name != PARQUET:
        rows = open_rows(path, form.name)
        table = Table(path, rows.types, _looked_at(rows), rows.is_named)
        return form, table, rows.n_rows, rows.pictures
    try:
        types = _read_types(path, connection)
        (n_rows,) = connection.execute(
            "select sum(num_rows)::bigint from parquet_file_metadata($path)",
            {"path": as_pattern(path)},
        ).fetchone() or (0,)
    except duckdb.Error as error:
        if "://" in path:
            raise SourceError(explained(path, first_line(error))) from None
        raise SourceError(
            f"{path}: not a readable parquet file ({first_line(error)}); fetch it again, take it "
            'out of [data] rows, or pass over such files with on_bad_file = "skip" there'
        ) from None

    def look(column: Column) -> list[str]:
        source = f"read_parquet({literal(as_pattern(path))}, binary_as_string = true)"
        values = f"select {column.sql}::varchar from {source} limit {_N_LOOKED_AT}"
        try:
            return [row[0] for row in connection.execute(values).fetchall() if row[0] is not None]
        except duckdb.Error:  # said better by who reads all of it
            return []

    return form, Table(path, types, look), n_rows, ()


def _looked_at(rows: Rows) -> Look:
    def look(column: Column) -> list[str]:
        values = next(rows.read([column.field]), None)
        texts = [] if values is None else values.column(0).slice(0, _N_LOOKED_AT).to_pylist()
        return [
            text.decode("utf-8", "backslashreplace") if isinstance(text, bytes) else str(text)
            for text in texts
            if text is not None
        ]

    return look


def _read_types(path: str, connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """The columns by the names that the file has; DuckDB changes one that differs by case alone."""
    values = {"path": as_pattern(path)}
    rows = connection.execute("describe from read_parquet($path)", values).fetchall()
    schema = connection.execute(
        "select name, num_children from parquet_schema($path)", values
    ).fetchall()
    names = list(_top_level(schema))
    if len(names) != len(rows) or len(set(names)) < len(names):
        names = [row[0] for row in rows]
    return {name: row[1] for name, row in zip(names, rows, strict=True)}


def _top_level(schema: list[tuple[str, int | None]]) -> Iterator[str]:
    """The names of the columns, from the nodes of a schema in depth-first order."""
    place = 1
    while place < len(schema):
        yield schema[place][0]
        open_nodes = 1
        while open_nodes:
            open_nodes += (schema[place][1] or 0) - 1
            place += 1


def _unescape_html(caption: str) -> str:
    """Entities decoded twice (`&amp;quot;` is common in alt texts), as open_clip does."""
    return html.unescape(html.unescape(caption))
