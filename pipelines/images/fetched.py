"""The images of rows, or the reasons why there are none: fetched side by side, committed in shards.

What is imported at the top is light: `status` imports the stage in a base install too.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb
import pyarrow as pa

from ...lance.tables import IMAGES, OK
from ..core.cores import count_cores
from ..core.database import query
from ..core.errors import MemtriggersError, StageError
from ..core.lake import Lake
from ..core.masking import mask, passwords_in
from ..core.progress import progress
from ..core.study import Study
from ..core.terminal import printable
from .places import are_local
from .turns import Turns

if TYPE_CHECKING:
    from .decoders import Decoders
    from .rows import ImageSource, Row

T = TypeVar("T")

_SHARD = 500  # images in one transaction: what a kill can lose
_LONGEST_REASON = 500  # characters
# What is not UTF-8 in a status line or a header comes as halves of pairs, which nothing can store.
_LATIN_1 = {0xDC00 + byte: byte for byte in range(0x80, 0x100)}


def fetch_images(
    study: Study,
    lake: Lake,
    commit: Callable[[pa.Table], None],
    connection: duckdb.DuckDBPyConnection,
) -> Counter[str]:
    """Commit a row of a table of images for each row of the relation samples_to_fetch.

    Args:
        study: says where the images are, and what is refused.
        lake: keeps what hosts allow to be asked for.
        commit: called with rows of `IMAGES.schema`, in a thread; one transaction.
        connection: its relation has the columns of `Row`, and may have more.

    Returns:
        How many rows ended with each status; what an interrupt leaves is committed, too.

    Raises:
        StudyError: image_root is no folder.
        SourceError: image_column is no column of bytes.
        StageError: this machine has no network, or has run out of something.

    """
    from .decoders import start_decoders
    from .urls import host_of

    with (
        progress("fetch", len(connection.table("samples_to_fetch"))) as advance,
        ThreadPoolExecutor(count_cores()) as threads,
        ThreadPoolExecutor(1) as writer,
    ):
        committer = _Committer(commit, advance, writer)
        try:
            with start_decoders(study.fetch) as decoders:

                async def fetch(rows: "list[Row]", source: "ImageSource") -> None:
                    fetched = await _fetch_image(rows[0], source, threads, decoders)
                    for row in rows:  # one image has as many rows as captions
                        await committer.add({"sample_id": row.sample_id, **fetched})

                is_web = not are_local(study)
                for_each(
                    study,
                    _read_places(connection, study, is_web=is_web),
                    fetch,
                    host_of=lambda rows: host_of(rows[0].url) if is_web else None,
                    robots=lake.robots,
                )
        finally:
            with _faults_in_one_line():
                committer.finish()  # also what was fetched before an interrupt
    return committer.ended


def for_each(
    study: Study,
    items: Iterator[T],
    work: Callable[[T, "ImageSource"], Coroutine[Any, Any, None]],
    *,
    host_of: Callable[[T], str | None] = lambda _: None,
    robots: Path | None = None,
) -> None:
    """Do some work for each item, so many side by side as the source of the study's images reads.

    Args:
        study: says where the images are.
        items: of any number.
        work: on an item, with that source; where it raises Later, the item comes again.
        host_of: whose images an item asks for, which gets few requests at the same time.
        robots: where the hosts' robots.txt are kept.

    Raises:
        StudyError: image_root is no folder.
        StageError: this machine has no network, or has run out of something.

    """
    with _faults_in_one_line():
        turns = Turns(items, host_of, study.fetch.connections_per_host)
        asyncio.run(_side_by_side(study, turns, work, robots))


@contextmanager
def _faults_in_one_line() -> Iterator[None]:
    from .machine import fault_of

    try:
        yield
    except (OSError, MemoryError, RuntimeError) as error:
        if fault := fault_of(error):
            raise StageError(f"fetch: {fault}; what is finished is kept") from None
        raise


def _read_places(
    connection: duckdb.DuckDBPyConnection, study: Study, *, is_web: bool
) -> Iterator["list[Row]"]:
    """The rows of each image, which is asked for once."""
    from .rows import Row

    # Nothing else may be asked of this connection until the last row is read.
    values = {
        "by_row": study.data.has_images_by_row,
        "in_turn": study.fetch.connections_per_host if is_web else None,
    }
    samples = connection.execute(query("fetch/places"), values)
    rows = chain.from_iterable(iter(lambda: samples.fetchmany(_SHARD), []))
    for _, of_place in groupby(rows, key=itemgetter(0)):
        yield [Row._make(row[1:]) for row in of_place]


async def _side_by_side(
    study: Study,
    turns: Turns[T],
    work: Callable[[T, "ImageSource"], Coroutine[Any, Any, None]],
    robots: Path | None,
) -> None:
    from .rows import Later
    from .sources import open_image_source

    async def work_until_done(source: "ImageSource") -> None:
        while (turn := await turns.take()) is not None:
            try:
                await work(turn.item, source)
            except Later as later:
                turns.again(turn, later.wait, is_of_host=later.is_of_host)
            else:
                turns.done(turn)

    async with open_image_source(study, robots) as source:
        try:
            # Of a group, because the others must end before the source is closed beneath them.
            async with asyncio.TaskGroup() as group:
                for _ in range(source.at_once):
                    group.create_task(work_until_done(source))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None


async def _fetch_image(
    row: "Row", source: "ImageSource", threads: Executor, decoders: "Decoders"
) -> dict[str, Any]:
    """What becomes of a row's image: a row of the table `images` but for the sample.

    Raises:
        Later: it is to be tried again.
        StageError: this machine has no network.
        OSError, MemoryError, RuntimeError: it has run out of something.

    """
    from .machine import fault_of
    from .rows import Later, Refused

    try:
        data = await source.read(row)
        loop = asyncio.get_running_loop()
        fetched = await loop.run_in_executor(threads, _decode, data, decoders)
    except Later:
        raise
    except Refused as refused:
        fetched = failure(refused.status, refused.reason, row.url)
    except MemtriggersError:
        raise
    except Exception as error:  # a server or a file can lead anywhere: not to the end of the stage
        if fault_of(error):
            raise
        fetched = failure("unexpected", f"{type(error).__name__}: {error}", row.url)
    return {"fetched_at": datetime.now(UTC), **fetched}


def _decode(data: bytes, decoders: "Decoders") -> dict[str, Any]:
    from .rows import Refused

    original = {"n_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    try:
        return {"status": OK, **original, **vars(decoders.store(data))}
    except Refused as refused:
        return failure(refused.status, refused.reason) | original


def failure(status: str, reason: str, url: str | None = None) -> dict[str, Any]:
    """A status with its reason, of whatever text: one line that can be stored, of no password."""
    text = mask(reason.translate(_LATIN_1), *passwords_in(url or ""))
    return {"status": status, "status_reason": printable(text)[:_LONGEST_REASON]}


class _Committer:
    """Collects rows and commits them a shard at a time, in a thread: downloads go on meanwhile."""

    def __init__(
        self,
        commit: Callable[[pa.Table], None],
        advance: Callable[[int], None],
        writer: Executor,
    ) -> None:
        self._commit_rows, self._advance, self._writer = commit, advance, writer
        self._rows: list[dict[str, Any]] = []
        self.ended = Counter[str]()
        self._under_way: Future[None] | None = None
        self._turn = asyncio.Lock()

    async def add(self, row: dict[str, Any]) -> None:
        """Take one row; a full shard waits until the one before it is committed, and so do rows."""
        async with self._turn:
            self._rows.append(row)
            self.ended[row["status"]] += 1
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
        self._commit_rows(pa.Table.from_pylist(rows, IMAGES.schema))
        self._advance(len(rows))
