"""Work of which the store keeps the results: workers do the shards, this process commits each.

A stage says what it asks of the workers; here they are started, the progress is shown, what comes
back is counted, and each shard becomes one append to each table, in the order of the shards. What
a kill can lose are the shards that are under way.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, TypeVar

import pyarrow as pa

from ...lance.store import VectorStore
from ...lance.tables import LanceTable
from .errors import LakeError
from .lake import Lake
from .progress import progress
from .runs import Counts
from .study import Study
from .workers import start_workers

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Shard = TypeVar("Shard", bound=Sized)
Job = TypeVar("Job", bound="DataclassInstance")


def _a_row_an_item(shard: Sized) -> Iterator[int]:
    while True:
        yield len(shard)


@dataclass(frozen=True)
class StoredWork(Generic[Shard, Job]):
    """What workers make of shards, and the tables that it goes to."""

    stage: str  # who asks, for the message of an error
    label: str  # of the progress
    work: Callable[[Shard, Job], Sequence[pa.Table]]  # in a worker, and pure: it may run twice
    job: Job  # what is the same for every shard; has `workers_per_host`, which is said here
    tables: Sequence[LanceTable | str]  # of a name alone, the columns are those that workers send
    made: str = "vector"  # the column of the first table that is null where nothing came of an item
    n_rows: Callable[[Shard], Iterable[int]] = _a_row_an_item  # of each table, that a shard gives
    items: str = "images"  # what shards are made of
    way_out: str = "lower clip.batch_size"  # what makes a task smaller
    first: Callable[[], None] = lambda: None  # once a shard has come back, before it is committed

    def run(
        self, study: Study, lake: Lake, n_items: int, shards: Callable[[int], Iterable[Shard]]
    ) -> Counts:
        """Do the work, and commit it shard by shard.

        Args:
            study: its resources are used.
            lake: holds the store.
            n_items: in all shards together.
            shards: given the number of workers; taken as workers get free.

        Returns:
            Items that came back, and those of which something was made; the statuses of others.

        Raises:
            LakeError: a worker lost something.
            StageError: there are no workers, or they were killed.

        """
        n_done, lost = 0, Counter[str]()
        with (
            start_workers(lake, study.resources) as workers,
            progress(self.label, n_items, self.items) as advance,
        ):
            job = replace(self.job, workers_per_host=workers.per_host)
            waiting = shards(workers.number)
            for shard, rows in workers.results(self.work, waiting, job, self.stage, self.way_out):
                check_counts(f"{self.stage}: {{}} {self.items}", rows, self.n_rows(shard))
                if n_done == 0:
                    self.first()
                self._commit(VectorStore(lake.vectors), rows)
                n_done += len(shard)
                lost += self._lost(rows[0])
                advance(len(shard))
        return Counts(n_done, n_done - lost.total(), lost)

    def _lost(self, rows: pa.Table) -> Counter[str]:
        """Why nothing came of some items, by the status of their rows where they have one."""
        nothing = rows.filter(rows[self.made].is_null())
        has_status = "status" in rows.column_names
        return Counter(nothing["status"].to_pylist() if has_status else ["lost"] * len(nothing))

    def _commit(self, store: VectorStore, results: Sequence[pa.Table]) -> None:
        """Append to each table in one transaction; a kill between two leaves the rest lacking."""
        for table, rows in zip(self.tables, results, strict=True):
            store.append(LanceTable(table, rows.schema) if isinstance(table, str) else table, rows)


def check_counts(what: str, tables: Sequence[pa.Table], n_rows: Iterable[int]) -> None:
    """Each table of a shard has as many rows as the shard asked for, no more and no less.

    Args:
        what: who asks, with {} for a number, for the message.
        tables: one a model that ran.
        n_rows: asked for of each model, whether it ran or not.

    Raises:
        LakeError: a worker lost something.

    """
    for table, n in zip(tables, n_rows, strict=False):  # without copies, none of theirs
        if table.num_rows != n:
            raise LakeError(f"{what.format(n)} went in, {table.num_rows} came out")
