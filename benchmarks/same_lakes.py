"""Whether two lakes say the same: the published tables, and the images and vectors of the store."""

from collections.abc import Iterator

import duckdb
import pyarrow as pa

from memtriggers.lance.store import VectorStore
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.quoting import identifier, literal

# These tables say how what is there came about.
NOT_COMPARED = ("build_info", "changes", "runs", "cluster_marks")
_COLUMNS_NOT_COMPARED = ("fetched_at",)
_OF_THE_STORE = ("images", "image_vectors-", "caption_vectors-", "copy_vectors-")
_ROWS_SHOWN = 3
_LONGEST = 240  # characters of what is shown of a row


def differences(ours: Lake, other: Lake) -> list[str]:
    """One text for each table whose rows are not the same, with the first that differ.

    Of the store, the rows of published samples are compared: those that left the inputs stay there.
    """
    with duckdb.connect() as connection:
        for name, lake in (("ours", ours), ("other", other)):
            _declare_tables(connection, name, lake)
        found = [_tables(connection, name) for name in ("ours", "other")]
        texts = [
            f"{name}: is in one of them alone" for name in sorted(found[0].keys() ^ found[1].keys())
        ]
        for name in sorted(found[0].keys() & found[1].keys()):
            texts += _difference(connection, name, found[0][name])
    return texts


def _declare_tables(connection: duckdb.DuckDBPyConnection, schema: str, lake: Lake) -> None:
    """Have the tables of a lake in a schema, those of the store as `lance: NAME`."""
    connection.execute(f"create schema {schema}")
    file = literal(str(lake.current.resolve()))
    connection.execute(f"attach {file} as {schema}_published (read_only)")
    published = connection.execute(
        "select distinct table_name from duckdb_columns() "
        f"where database_name = '{schema}_published' and schema_name = 'main' and not internal"
    ).fetchall()
    for (name,) in published:
        if name not in NOT_COMPARED:
            source = f"{schema}_published.main.{identifier(name)}"
            connection.execute(f"create view {schema}.{identifier(name)} as from {source}")
    store = VectorStore(lake.vectors)
    for folder in lake.vectors.glob("*.lance"):
        if folder.stem.startswith(_OF_THE_STORE) and store.exists(folder.stem):
            connection.register("stored", _readable(store.dataset(folder.stem).to_table()))
            connection.execute(
                f"create table {schema}.{identifier(f'lance: {folder.stem}')} as "
                f"from stored semi join {schema}.samples using (sample_id)"
            )


def _readable(rows: pa.Table) -> pa.Table:
    """The same where DuckDB reads vectors: it knows no half floats."""
    for place, field in enumerate(rows.schema):
        if pa.types.is_fixed_size_list(field.type):
            kind = pa.list_(pa.float32(), field.type.list_size)
            rows = rows.set_column(place, field.name, rows[field.name].cast(kind))
    return rows.drop_columns([c for c in _COLUMNS_NOT_COMPARED if c in rows.column_names])


def _tables(connection: duckdb.DuckDBPyConnection, schema: str) -> dict[str, list[str]]:
    """The columns of each table of a schema."""
    found = connection.execute(
        "select table_name, list(column_name order by column_index) from duckdb_columns() "
        f"where database_name = 'memory' and schema_name = '{schema}' group by table_name"
    ).fetchall()
    return dict(found)


def _difference(
    connection: duckdb.DuckDBPyConnection, name: str, columns: list[str]
) -> Iterator[str]:
    """One text at most: how many rows are in one of them alone, and the first of these."""
    said = []
    for lake, one, two in (("this lake", "ours", "other"), ("a new one", "other", "ours")):
        rows, ordered = _only_in(one, two, name, "*"), f"limit {_ROWS_SHOWN}"
        found = connection.execute(f"{rows} order by all {ordered}").fetchall()
        if found:
            n = connection.execute(f"select count(*) from ({rows})").fetchall()[0][0]
            said.append(f"    {n} in {lake} alone, the first are")
            said += [f"      {_shown(dict(zip(columns, row, strict=True)))}" for row in found]
    if said:
        differing = [
            column
            for column in columns
            if connection.execute(_only_in("ours", "other", name, identifier(column))).fetchone()
        ]
        yield "\n".join((f"  {name}, in {', '.join(differing) or 'its number of rows'}:", *said))


def _only_in(one: str, two: str, table: str, columns: str) -> str:
    name = identifier(table)
    return f"select {columns} from {one}.{name} except all select {columns} from {two}.{name}"


def _shown(row: dict[str, object]) -> str:
    text = ", ".join(f"{name} {value!r:.60}" for name, value in row.items() if value is not None)
    return text[:_LONGEST]
