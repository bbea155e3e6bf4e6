"""The rows of a study as one view, `source`, whatever their files are and their columns called."""

import html
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from ..core.database import dbt_macro, define_addresses, query
from ..core.errors import SourceError
from ..core.lake import Lake
from ..core.quoting import literal
from ..core.study import Study
from ..formats.rows import OBSERVED, ROW, RULE
from ..formats.streams import WAY_OUT
from .columns import NAMES, NUMBERS
from .copies import Copies, lost_rows, open_rows
from .described import read_source_files
from .files import as_pattern
from .in_texts import define_as_json
from .source_file import FILE, NUMBER, SourceFile

_FEW, _SMALL = 100, 1_000  # files; rows of each, on average


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
    files = copy_files(read_source_files(study, connection, lake), study, lake)
    create_source(connection, files)
    return files


def copy_files(files: list[SourceFile], study: Study, lake: Lake) -> list[SourceFile]:
    """The files, with the copies of those that need one, or that have one.

    Raises:
        SourceError: not one row of a file can be read, and the study does not pass over such files.

    """
    copies = Copies(lake)
    wanted = [file for file in files if file.problem is None and (copies or file.needs_copy)]
    keys = copies.paths((file.path, file.format, file.columns, file.carried) for file in wanted)
    copied = {}
    for file, copy in zip(wanted, keys, strict=True):
        if not copies.has(copy):
            if not file.needs_copy:
                continue
            copies.write(copy, open_rows(file.path, file.format), file.columns, file.carried)
        copied[file.path] = with_copy(file, copy, study)
    return [copied.get(file.path, file) for file in files]


def with_copy(file: SourceFile, copy: Path, study: Study) -> SourceFile:
    """A file that is read from a copy, whose rows are counted.

    Raises:
        SourceError: not one of them can be read, and the study does not pass over such files.

    """
    n_rows, lost = pq.read_metadata(copy).num_rows, lost_rows(copy)
    if not lost.n or lost.n < n_rows:
        return replace(file, copy=str(copy), n_rows=n_rows, n_lost=lost.n)
    problem = f"is damaged within ({lost.reason})"
    if study.data.on_bad_file != "skip":
        raise SourceError(f"{file.path}: {problem}; {WAY_OUT}")
    return replace(file, n_rows=0, problem=problem)


def create_source(connection: duckdb.DuckDBPyConnection, files: list[SourceFile]) -> None:
    """Create the view `source`, and the table unreadable_rows of what copies cannot give."""
    if not any("://" in file.path for file in files):
        # It holds what was read of each file, and reads many small ones one behind another.
        connection.execute("set enable_external_file_cache = false")
    define_as_json(connection)
    selects, unreadable = [], [_NO_UNREADABLE]
    for (select, number, _), some in _alike(files).items():
        if some[0].copy is not None:
            rows = _of_copies(some)
            selects.append(
                f"select source_file, {ROW}, {number} as caption_number, {select} from {rows} "
                f"where {RULE} is null"
            )
            unreadable.append(_unreadable(some[0], rows))
        else:
            selects.append(
                f"select {FILE} as source_file, {NUMBER} as source_row, "
                f"{number} as caption_number, {select} "
                f"from {open_files([file.path for file in some])}"
            )
    selects = selects or [_no_rows()]
    connection.execute(f"create or replace temp view source as {' union all '.join(selects)}")
    connection.execute(
        f"create or replace temp table unreadable_rows ({', '.join(_UNREADABLE)}) as "
        f"{' union all '.join(unreadable)}"
    )


def gather_captions(connection: duckdb.DuckDBPyConnection, files: list[SourceFile]) -> None:
    """Let `source` have the captions alone, read once, where the files are many and small.

    For who reads them several times: to open such a file costs more than its rows.
    """
    n_rows = sum(file.n_rows or 0 for file in files)
    if len(files) > _FEW and n_rows < _SMALL * len(files):
        connection.execute("create or replace temp table gathered as select caption from source")
        connection.execute("create or replace temp view source as from gathered")


def _alike(files: list[SourceFile]) -> dict[tuple[str, str, int], list[SourceFile]]:
    """The files that are read by the same SQL: copies, or parquet that is described once."""
    sql: dict[tuple[int, int, bool, str], tuple[str, str, int]] = {}
    groups: dict[tuple[str, str, int], list[SourceFile]] = {}
    for file in files:
        if file.n_rows == 0 or file.problem is not None:
            continue
        is_copied = file.copy is not None
        described = (id(file.columns), id(file.types), is_copied, file.prefix)
        if described not in sql:  # of many thousand files, it costs more than all else
            schema = 0 if is_copied else id(file.types)
            sql[described] = (file.select, file.caption_number, schema)
        groups.setdefault(sql[described], []).append(file)
    return groups


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
        f"read_parquet([{copies}], filename = {literal(FILE)}) "
        f"join (values {pairs}) as copied(copy, source_file) on {FILE} = copy"
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
        f"filename = {literal(FILE)}, {NUMBER} = true, binary_as_string = true)"
    )


def _no_rows() -> str:
    columns = {name: "double" if name in NUMBERS else "varchar" for name in NAMES}
    kinds = {"source_file": "varchar", "source_row": "bigint", "caption_number": "bigint"} | columns
    nulls = ", ".join(f"null::{kind} as {name}" for name, kind in kinds.items())
    return f"select {nulls} where false"


def define_macros(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the macros of tokens, words and identity, of `captions/macros`, and of addresses."""
    # Called with one text, no Arrow array: few have an entity, and a call costs as much as many.
    connection.create_function("unescape_html", _unescape_html, ["varchar"], "varchar")
    connection.execute(dbt_macro("plain_forms"))
    connection.execute(query("captions/macros"))
    define_addresses(connection)


def _unescape_html(caption: str) -> str:
    """Entities decoded twice (`&amp;quot;` is common in alt texts), as open_clip does."""
    return html.unescape(html.unescape(caption))
