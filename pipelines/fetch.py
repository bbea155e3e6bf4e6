"""fetch: the image of every sample, or the reason why there is none.

What is imported at the top is light: `recorded` answers `status` in a base install too.
"""

import asyncio
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from ..lance.store import VectorStore
from ..lance.tables import IMAGE_ROWS_PER_FILE, IMAGES, OK, LanceTable
from .core.database import connect, query
from .core.errors import LakeError, MemtriggersError, StageError
from .core.lake import Lake
from .core.losses import Outcome, refuse_total_loss
from .core.masking import mask, passwords_in
from .core.progress import progress
from .core.runs import Counts
from .core.stamp import Stamp
from .core.stamped_tables import read_recorded, write_mark, write_stamp
from .core.study import Fetch, Study
from .core.terminal import printable

if TYPE_CHECKING:
    from .images.rows import ImageSource, Row

_SHARD = 500  # images in one transaction: what a kill can lose
_CAN_PASS = (
    "status in ('connection', 'dns', 'http_408', 'http_429', 'not_found', 'timeout',"
    " 'too_large_for_memory', 'unexpected', 'unreadable') or status like 'http_5%'"
)
_IS_OK = f"status = '{OK}'"
_SETTINGS = "memtriggers_fetch_settings"
_LONGEST_REASON = 500  # characters
# What is not UTF-8 in a status line or a header comes as halves of pairs, which nothing can store.
_LATIN_1 = {0xDC00 + byte: byte for byte in range(0x80, 0x100)}


def run(study: Study, lake: Lake, stamp: Stamp) -> Counts:
    """Commit a row to `images` for every sample that has none; none where vectors are imported.

    Returns:
        Samples without a row before, and those that have an image now.

    Raises:
        StudyError: image_root is no folder.
        SourceError: image_column is no column of bytes.
        StageError: no sample has an image.

    """
    store = VectorStore(lake.vectors)
    store.create(IMAGES)
    _forget_failures(store, study)
    with connect(lake) as connection:
        connection.register("stored_images", store.sample_ids(IMAGES.name))
        connection.execute(query("samples_to_fetch"), {"samples": str(lake.samples)})
        is_imported = study.data.vectors is not None
        n_in = 0 if is_imported else len(connection.table("samples_to_fetch"))
        n_before, n_ok = store.count(IMAGES.name), store.count(IMAGES.name, _IS_OK)
        if n_in:
            fetch_images(study, store, IMAGES, connection)
        n_out = store.count(IMAGES.name, _IS_OK) - n_ok
        if not (n_out or is_imported):
            _refuse_total_loss(connection, store, lake)
    n_rows = store.count(IMAGES.name) - n_before
    if n_in != n_rows:
        raise LakeError(
            f"{store.path(IMAGES.name)}: {n_in} samples went in, {n_rows} rows came out"
        )
    store.compact(IMAGES.name, IMAGE_ROWS_PER_FILE)
    write_stamp(store, IMAGES.name, stamp)
    return Counts(n_in, n_out)


def recorded(lake: Lake) -> tuple[Stamp, str] | None:
    """The stamp and the fingerprint of the table `images`; None before the first full run."""
    return read_recorded(VectorStore(lake.vectors), IMAGES.name)


def forget_passing_failures(lake: Lake) -> None:
    """Remove the rows of failures that another try may mend, so that the next run makes it."""
    store = VectorStore(lake.vectors)
    if store.exists(IMAGES.name):
        store.delete(IMAGES.name, _CAN_PASS)


def _refuse_total_loss(
    connection: duckdb.DuckDBPyConnection, store: VectorStore, lake: Lake
) -> None:
    """Raise StageError when samples were asked for and not one has an image, in any run."""
    columns = ["sample_id", "status", "status_reason"]
    connection.register("stored_images", store.reader(IMAGES.name, columns))
    found = connection.execute(query("fetch_losses"), {"samples": str(lake.samples)}).fetchall()
    refuse_total_loss(
        "fetch",
        "samples has an image",
        [Outcome(*row) for row in found],
        "mend where [data] in the study says the images are, or the network, and run: "
        "memtriggers fetch --retry",
    )


def _forget_failures(store: VectorStore, study: Study) -> None:
    """Remove the rows without an image when the study's way to the images has changed.

    A mended image_root or a larger max_bytes may bring them; with the same settings they would
    fail again.
    """
    limits = ("max_bytes", "max_pixels", "timeout", "opt_out", "allow_private_hosts")
    settings = {key: value for key, value in asdict(study.fetch).items() if key in limits}
    settings |= {
        key: getattr(study.data, key) for key in ("image_column", "image_root", "image_tars")
    }
    text = json.dumps(settings, sort_keys=True)
    if store.read_metadata(IMAGES.name, _SETTINGS) != text:
        store.delete(IMAGES.name, f"status != '{OK}'")
        write_mark(store, IMAGES.name, _SETTINGS, text)


def fetch_images(
    study: Study, store: VectorStore, table: LanceTable, connection: duckdb.DuckDBPyConnection
) -> None:
    """Commit a row to a table of images for each row of the relation samples_to_fetch.

    The relation has the columns of `Row`; what an interrupt leaves is committed.

    Raises:
        StudyError: image_root is no folder.
        SourceError: image_column is no column of bytes.
        StageError: this machine has no network, or has run out of something.

    """
    from .images.decode import image_limits

    with (
        image_limits(study.fetch.max_pixels),
        progress("fetch", len(connection.table("samples_to_fetch"))) as advance,
        ThreadPoolExecutor(os.cpu_count()) as decoders,
        ThreadPoolExecutor(1) as writer,
    ):
        committer = _Committer(store, table, advance, writer)
        with _faults_in_one_line():
            try:
                asyncio.run(_fetch_rows(study, _read_rows(connection), decoders, committer))
            finally:
                committer.finish()  # also what was fetched before an interrupt


@contextmanager
def _faults_in_one_line() -> Iterator[None]:
    from .images.machine import fault_of

    try:
        yield
    except (OSError, MemoryError, RuntimeError) as error:
        if fault := fault_of(error):
            raise StageError(f"fetch: {fault}; what is finished is kept") from None
        raise


def _read_rows(connection: duckdb.DuckDBPyConnection) -> Iterator["Row"]:
    from .images.rows import Row

    # Nothing else may be asked of this connection until the last row is read.
    samples = connection.execute("from samples_to_fetch order by source_file, source_row")
    while batch := samples.fetchmany(_SHARD):
        yield from map(Row._make, batch)


async def _fetch_rows(
    study: Study, rows: Iterator["Row"], decoders: Executor, committer: "_Committer"
) -> None:
    from .images.sources import open_image_source

    async def fetch_next_until_done(source: "ImageSource") -> None:
        for row in rows:  # one iterator for all of them
            await committer.add(await _fetch_row(row, source, decoders, study.fetch))

    async with open_image_source(study) as source:
        try:
            # Of a group, because the others must end before the source is closed beneath them.
            async with asyncio.TaskGroup() as group:
                for _ in range(source.at_once):
                    group.create_task(fetch_next_until_done(source))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None


async def _fetch_row(
    row: "Row", source: "ImageSource", decoders: Executor, settings: Fetch
) -> dict[str, Any]:
    """One row of the table `images`, whatever happens to it.

    Raises:
        StageError: this machine has no network.
        OSError, MemoryError, RuntimeError: it has run out of something.

    """
    from .images.decode import Refused
    from .images.machine import fault_of

    try:
        data = await source.read(row)
        loop = asyncio.get_running_loop()
        fetched = await loop.run_in_executor(decoders, _decode, data, settings)
    except Refused as refused:
        fetched = _failure(refused.status, refused.reason, row.url)
    except MemtriggersError:
        raise
    except Exception as error:  # a server or a file can lead anywhere: not to the end of the stage
        if fault_of(error):
            raise
        fetched = _failure("unexpected", f"{type(error).__name__}: {error}", row.url)
    return {"sample_id": row.sample_id, "fetched_at": datetime.now(UTC), **fetched}


def _decode(data: bytes, settings: Fetch) -> dict[str, Any]:
    from .images.decode import Refused, store_image

    original = {"n_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    try:
        return {"status": OK, **original, **vars(store_image(data, settings))}
    except Refused as refused:
        return _failure(refused.status, refused.reason) | original


def _failure(status: str, reason: str, url: str | None = None) -> dict[str, Any]:
    """A status with its reason, of whatever text: one line that can be stored, of no password."""
    text = mask(reason.translate(_LATIN_1), *passwords_in(url or ""))
    return {"status": status, "status_reason": printable(text)[:_LONGEST_REASON]}


class _Committer:
    """Collects rows and commits them a shard at a time, in a thread: downloads go on meanwhile."""

    def __init__(
        self,
        store: VectorStore,
        table: LanceTable,
        advance: Callable[[int], None],
        writer: Executor,
    ) -> None:
        self._store, self._table, self._advance, self._writer = store, table, advance, writer
        self._rows: list[dict[str, Any]] = []
        self._under_way: Future[None] | None = None
        self._turn = asyncio.Lock()

    async def add(self, row: dict[str, Any]) -> None:
        """Take one row; a full shard waits until the one before it is committed, and so do rows."""
        async with self._turn:
            self._rows.append(row)
            if len(self._rows) == _SHARD:
                if self._under_way is not None:
                    # An interrupt ends the wait, not the commit.
                    await asyncio.shield(asyncio.wrap_future(self._under_way))
                self._under_way = self._writer.submit(self._commit, self._rows)
                self._rows = []

    def finish(self) -> None:
        """Wait for the commit that is under way, and commit the rest."""
        if self._under_way is not None:
            self._under_way.result()
        if self._rows:
            self._commit(self._rows)

    def _commit(self, rows: list[dict[str, Any]]) -> None:
        """Commit rows as one transaction."""
        self._store.append(self._table, pa.Table.from_pylist(rows, self._table.schema))
        self._advance(len(rows))
