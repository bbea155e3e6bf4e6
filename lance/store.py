"""The vector store: the Lance tables of a lake, opened, appended to and read.

LanceDB searches them and builds their indices; pylance, which is imported in a sixth of the time,
does the rest. One process writes at a time (the lake's lock), every append is one transaction, and
a table that does not exist yet is answered without importing them, so that a base install can ask.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .errors import MissingPackage, StoreError
from .tables import LanceTable
from .unit import unit_norm

COMMITS_PER_COMPACTION = 256
_ALIGNMENT = 8  # bytes
INDEX_ROWS = 2_000_000  # from which an index pays: below, all vectors are read within seconds
# Only an index heeds these.
_PROBES = 64  # partitions that are looked into
_REFINE_FACTOR = 20  # so many times as many candidates are compared exactly


@dataclass(frozen=True)
class VectorStore:
    """The folder `lake/lance/`; each table is the folder `<name>.lance` in it."""

    root: Path

    def path(self, name: str) -> Path:
        """The folder of a table."""
        return self.root / f"{name}.lance"

    def names(self) -> list[str]:
        """The tables that are there."""
        return sorted(f.stem for f in self.root.glob("*.lance") if self.exists(f.stem))

    def exists(self, name: str) -> bool:
        """Whether the table has a committed version; imports nothing."""
        versions = self.path(name) / "_versions"
        return versions.is_dir() and any(versions.iterdir())

    def dataset(self, name: str, version: int | None = None) -> Any:
        """The `lance.LanceDataset` of a table, at its newest or at a pinned version.

        Raises:
            StoreError: there is no such table, or it cannot be read.
            MissingPackage: pylance is not installed.

        """
        with self._one_line_errors(name):
            return import_lance().dataset(str(self.path(name)), version=version)

    def open_table(self, name: str) -> Any:
        """The `lancedb.Table` of a table, at its newest version.

        Raises:
            StoreError: there is no such table, or it cannot be read.
            MissingPackage: LanceDB is not installed.

        """
        with self._one_line_errors(name):
            return import_lancedb().connect(self.root).open_table(name)

    @contextmanager
    def _one_line_errors(self, name: str) -> Iterator[None]:
        """While a table is opened."""
        if not self.exists(name):
            raise StoreError(f"{self.path(name)}: no such table; run: memtriggers refresh")
        try:
            yield
        except (OSError, ValueError, RuntimeError) as error:
            raise StoreError(f"{self.path(name)}: cannot be read: {_first_line(error)}") from None

    def version(self, name: str) -> int:
        """The newest version of a table; every commit raises it by one."""
        return int(self.dataset(name).version)

    def count(self, name: str, where: str | None = None) -> int:
        """The number of rows, of those that meet an SQL condition; 0 where there is no table."""
        return int(self.dataset(name).count_rows(where)) if self.exists(name) else 0

    def reader(
        self, name: str, columns: list[str], where: str | None = None, version: int | None = None
    ) -> pa.RecordBatchReader:
        """Stream columns in the order of the table; `_rowoffset` is one, for `dataset.take`.

        `where` is an SQL condition on the table's columns, such as "status = 'ok'".

        Raises:
            StoreError: there is no such table, or an earlier version of memtriggers made it.

        """
        dataset = self.dataset(name, version)
        self._check_columns(name, dataset, columns)
        return dataset.scanner(columns=columns, filter=where, scan_in_order=True).to_reader()

    def _check_columns(self, name: str, dataset: Any, columns: list[str]) -> None:
        missing = set(columns) - set(dataset.schema.names) - {"_rowoffset"}
        if missing:
            raise StoreError(
                f"{self.path(name)}: has no column {min(missing)}: an earlier version made it; "
                "remove it and run: memtriggers refresh"
            )

    def sample_ids(self, name: str) -> pa.RecordBatchReader:
        """Stream the ids that a table holds, none where there is no table: for anti-joins."""
        return self.ids(name, "sample_id")

    def ids(self, name: str, key: str) -> pa.RecordBatchReader:
        """Stream the column of a table by which its rows are known, in the same way."""
        if self.exists(name):
            return self.reader(name, [key])
        return pa.schema([(key, pa.string())]).empty_table().to_reader()

    def nearest(self, name: str, wanted: npt.NDArray[np.float32], number: int) -> pa.Table:
        """The rows (sample_id, cosine) whose vectors are nearest to one of d dimensions.

        With an index some may be missed; the cosines are exact, of vectors renormalised in float32.
        """
        search = (
            self.open_table(name)
            .search(unit_norm(wanted), vector_column_name="vector")
            .distance_type("cosine")
            .nprobes(_PROBES)
            .refine_factor(_REFINE_FACTOR)
            .select(["sample_id", "vector", "_distance"])
            .limit(number)
        )
        rows = search.to_arrow().filter(pc.field("vector").is_valid())
        vectors = rows["vector"].combine_chunks().flatten().to_numpy()
        unit = unit_norm(vectors.reshape(len(rows), -1).astype(np.float32))
        cosine = pa.array(unit @ unit_norm(wanted), pa.float32())
        return pa.table({"sample_id": rows["sample_id"], "cosine": cosine})

    def build_index(self, name: str) -> None:
        """Make searches fast, where reading every vector would take more than a moment.

        The index is approximate; rows that are not in it yet are searched one by one. It is built
        once and then carried on.
        """
        dataset = self.dataset(name)
        if dataset.describe_indices():
            dataset.optimize.optimize_indices()  # LanceDB's own would compact, to larger files
        elif (n_rows := dataset.count_rows()) >= INDEX_ROWS:
            index = import_lancedb().index.IvfPq(
                distance_type="cosine",
                num_partitions=round(n_rows**0.5),
                num_sub_vectors=dataset.schema.field("vector").type.list_size // 8,
            )
            self.open_table(name).create_index("vector", config=index)

    def create(self, table: LanceTable) -> None:
        """Make the table, without a row, when there is none."""
        if not self.exists(table.name):
            self.append(table, table.schema.empty_table())

    def append(self, table: LanceTable, rows: pa.Table) -> None:
        """Commit rows as one transaction; makes the table when there is none.

        The caller has left out the samples that are there already (an anti-join): nothing is
        merged here, because merges slow down as the table grows and two at once leave duplicates.
        Now and then the files are joined: a commit takes longer with every file and version.
        """
        rows = _aligned(rows.cast(table.schema))
        if self.exists(table.name):
            if rows.num_rows:
                import_lance().write_dataset(rows, self._to_write(table), mode="append")
        else:
            self.root.mkdir(parents=True, exist_ok=True)
            import_lance().write_dataset(rows, str(self.path(table.name)), mode="create")

    def _to_write(self, table: LanceTable) -> Any:
        """The dataset of a table that is there, its columns checked, its files few."""
        dataset = self.dataset(table.name)
        self._check_columns(table.name, dataset, table.schema.names)
        if dataset.version % COMMITS_PER_COMPACTION:
            return dataset
        self.compact(table.name, table.rows_per_file)
        return self.dataset(table.name)

    def replace(self, table: LanceTable, rows: pa.Table) -> None:
        """Put rows in the place of those of the same samples, as one transaction.

        A kill leaves the old rows or the new ones: never both, and never neither.
        """
        if rows.num_rows == 0:
            return
        dataset = self._to_write(table)
        where = one_of(rows["sample_id"].to_pylist())
        found = dataset.scanner(columns=[], filter=where, with_row_address=True).to_table()
        touched = {address >> 32 for address in found["_rowaddr"].to_pylist()}
        left = {n: dataset.get_fragment(n).delete(where) for n in touched}  # of each, its metadata
        lance = import_lance()
        update = lance.LanceOperation.Update(
            removed_fragment_ids=[n for n, fragment in left.items() if fragment is None],
            updated_fragments=[fragment for fragment in left.values() if fragment is not None],
            new_fragments=lance.fragment.write_fragments(
                _aligned(rows.cast(table.schema)), dataset
            ),
        )
        lance.LanceDataset.commit(dataset.uri, update, read_version=dataset.version)

    def delete(self, name: str, where: str) -> None:
        """Remove the rows that meet an SQL condition, as one transaction."""
        self.dataset(name).delete(where)

    def read_metadata(self, name: str, key: str) -> str | None:
        """One text of the table's own metadata; None where there is none, or no table."""
        if not self.exists(name):
            return None
        text = self.dataset(name).metadata.get(key)
        return None if text is None else str(text)

    def write_metadata(self, name: str, texts: dict[str, str]) -> None:
        """Set texts of the table's own metadata, as one transaction."""
        self.dataset(name).update_metadata(texts)

    def compact(self, name: str, rows_per_file: int) -> None:
        """Join the small files that appends leave, and remove what no version needs any more.

        Removes what killed runs left behind too, so the caller must hold the lake's lock.
        """
        dataset = self.dataset(name)
        dataset.optimize.compact_files(target_rows_per_fragment=rows_per_file)
        dataset.cleanup_old_versions(
            older_than=timedelta(microseconds=1),  # lance takes a timedelta of 0 for "not said"
            delete_unverified=True,
        )


def one_of(sample_ids: Sequence[str]) -> str:
    """The SQL condition that a row is one of these samples'."""
    quoted = ("'" + sample_id.replace("'", "''") + "'" for sample_id in sample_ids)
    return f"sample_id in ({', '.join(quoted)})"


def _aligned(rows: pa.Table) -> pa.Table:
    """What came over a network may begin at any byte, which Lance panics at: that is copied."""
    buffers = (b for column in rows.columns for chunk in column.chunks for b in chunk.buffers())
    if all(buffer is None or buffer.address % _ALIGNMENT == 0 for buffer in buffers):
        return rows
    return rows.take(pa.array(range(rows.num_rows), pa.int64()))


def import_lance() -> Any:
    """The package pylance.

    Raises:
        MissingPackage: it is not installed, even where a folder called `lance` can be imported.

    """
    # What fails is raised, and is one line; a worker that is started inherits it.
    os.environ.setdefault("LANCE_LOG", "error")
    try:
        import lance
        from lance import write_dataset  # noqa: F401
    except ImportError:
        raise MissingPackage(
            "the Lance tables need the package pylance; install: pip install 'memtriggers[embed]'"
        ) from None
    return lance


def import_lancedb() -> Any:
    """The package LanceDB; seconds of processor time, so only for what searches or indexes.

    Raises:
        MissingPackage: it is not installed.

    """
    os.environ.setdefault("LANCEDB_LOG", "error")  # as for pylance
    try:
        import lancedb
    except ImportError:
        raise MissingPackage(
            "searching and indexing need the package lancedb; "
            "install: pip install 'memtriggers[embed]'"
        ) from None
    return lancedb


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
