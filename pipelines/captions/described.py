"""The files of a study, each with what its columns are: parquet files that are alike, once."""

from collections.abc import Iterator
from dataclasses import replace
from os.path import relpath
from pathlib import Path

import duckdb

from ..core.addresses import explained, load_extension
from ..core.database import first_line
from ..core.errors import SourceError
from ..core.lake import Lake
from ..core.quoting import literal
from ..core.study import Data, Study
from ..formats.registry import PARQUET, Format, format_of
from ..formats.rows import ROW, Rows
from ..formats.streams import WAY_OUT
from .columns import NAMES, Column, Look, Table, resolve, shape_of
from .copies import open_rows, texts_of
from .files import as_pattern, find_files, is_metadata, is_parquet
from .find_columns import find_columns
from .footers import read_footers
from .in_texts import define_as_json
from .source_file import SourceFile

_N_LOOKED_AT = 100  # first texts of a column


def read_source_files(
    study: Study, connection: duckdb.DuckDBPyConnection, lake: Lake | None = None
) -> list[SourceFile]:
    """Look at the columns of every file of the study; of parquet files that are alike, once."""
    paths = find_files(study)
    for path in paths:
        if "://" in path:
            load_extension(connection, path)
    footers = read_footers([path for path in paths if is_parquet(path)], lake)
    described: dict[str, SourceFile] = {}
    files = []
    for path in paths:
        footer = footers.get(path)
        if footer is not None and footer.schema in described:
            alike = described[footer.schema]
            files.append(_placed(replace(alike, path=path, n_rows=footer.n_rows), study))
            continue
        file = _open_or_pass(path, study, connection)
        if footer is not None and file.problem is None and footer.n_rows:
            described[footer.schema] = file
        files.append(file)
    if files and all(file.problem is not None for file in files):
        raise SourceError(
            f"{files[0].path}: {files[0].problem}; no file of [data] rows can be read"
        )
    return files


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
    root = study.data.image_root
    if root is None or not (is_metadata(file.path) or file.format == "folder"):
        return file
    here = file.path if file.format == "folder" else Path(file.path).parent
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
            f"{path}: not a readable parquet file ({first_line(error)}); {WAY_OUT}"
        ) from None

    def look(column: Column) -> list[str]:
        source = f"read_parquet({literal(as_pattern(path))}, binary_as_string = true)"
        if column.below:
            define_as_json(connection)
        values = f"select {column.sql}::varchar from {source} limit {_N_LOOKED_AT}"
        try:
            return [row[0] for row in connection.execute(values).fetchall() if row[0] is not None]
        except duckdb.Error:  # said better by who reads all of it
            return []

    return form, Table(path, types, look), n_rows, ()


def _looked_at(rows: Rows) -> Look:
    def look(column: Column) -> list[str]:
        values = next(rows.read([column.field]), None)
        if values is None:
            return []
        texts, _ = texts_of(values.column(0).slice(0, _N_LOOKED_AT), column)
        return [text for text in texts.to_pylist() if text is not None]

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


def first_urls(file: SourceFile, n: int) -> list[tuple[str | None, int]]:
    """The first urls of a file that DuckDB does not read, with their rows; no copy is made."""
    url = file.columns["url"]
    found = next(open_rows(file.path, file.format).read([url.field] if url else []), None)
    if found is None:
        return []
    some = found.slice(0, n)
    rows: list[int] = some.column(ROW).to_pylist()
    urls = texts_of(some.column(0), url)[0].to_pylist() if url else [None] * len(rows)
    return [(u and file.prefix + u, row) for u, row in zip(urls, rows, strict=True)]
