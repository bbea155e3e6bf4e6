"""The Dask workers of a stage: on this machine while it lasts, or of a cluster that exists."""

import logging
import os
import shutil
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any, TypeVar

from .database import first_line
from .errors import StageError
from .gpus import count_gpus
from .in_flight import in_flight
from .lake import Lake
from .study import Resources

if TYPE_CHECKING:
    from distributed import Client, LocalCluster


# Distributed tells its workers' malloc to give memory back at once, and so to have each large
# tensor mapped and zeroed anew: that alone makes a forward pass 2.7 times as expensive. With more
# than one arena, each thread's largest tensors would be kept apart: 250 MB more.
WORKER_ENVIRONMENT = {
    "MALLOC_TRIM_THRESHOLD_": 1 << 30,
    "MALLOC_MMAP_THRESHOLD_": 1 << 30,
    "MALLOC_ARENA_MAX": 1,
    "OMP_NUM_THREADS": 1,
    # Threads of torch that wait for each other sleep after a moment: where the machine has other
    # work, spinning made a small pipeline's batch take 5 to 60 times the processor time.
    "GOMP_SPINCOUNT": 1_000,
}


Shard = TypeVar("Shard")
Job = TypeVar("Job")
Result = TypeVar("Result")

_ANSWER_SECONDS = 10  # what a scheduler may take to answer


@dataclass(frozen=True)
class Workers:
    """Worker processes that take tasks; each runs one at a time, with its cores or its GPU."""

    client: "Client"
    number: int
    per_host: int  # that share the cores of one machine; 1 where someone else started them

    def results(
        self,
        work: Callable[[Shard, Job], Result],
        shards: Iterable[Shard],
        job: Job,
        stage: str,
        way_out: str,
    ) -> Iterator[tuple[Shard, Result]]:
        """Each shard with what becomes of it, in their order; two a worker are under way.

        Args:
            work: what a worker does with a shard and the job; pure, as it may run twice.
            shards: taken as workers get free.
            job: what is the same for every shard.
            stage: who asks, for the message of an error.
            way_out: what makes a task of this stage smaller.

        Raises:
            StageError: see `result_of`.

        """

        def submit(shard: Shard) -> Any:
            return self.client.submit(work, shard, job, pure=False)

        for shard, future in in_flight(submit, shards, 2 * self.number):
            yield shard, result_of(future, stage, way_out)


@contextmanager
def start_workers(lake: Lake, resources: Resources) -> Iterator[Workers]:
    """Start workers, or join those of `resources.scheduler`; close ours however the block ends.

    On a machine without a GPU one worker uses all the cores: a second one would only hold the model
    twice.

    Raises:
        StageError: nobody answers at the scheduler's address, or it has no workers; or there is no
            GPU where one was asked for.

    """
    if resources.scheduler is not None:
        with join_cluster(resources) as workers:
            yield workers
    else:
        with _start_cluster(lake) as (cluster, client):
            # Asked in a worker, so that this process need not import torch.
            n_gpus = client.submit(count_gpus, resources.device).result()
            number = resources.workers or max(1, n_gpus)
            cluster.scale(number)
            client.wait_for_workers(number)
            yield Workers(client, number, per_host=number)


@contextmanager
def join_cluster(resources: Resources) -> Iterator[Workers]:
    """Join the workers of `resources.scheduler`, and leave them running.

    Raises:
        StageError: nobody answers at the address, or it has no workers.

    """
    from distributed import Client

    scheduler = resources.scheduler
    try:
        client = Client(scheduler, timeout=_ANSWER_SECONDS)
    except (OSError, ValueError) as error:
        raise StageError(
            f"--scheduler {scheduler}: no Dask scheduler answers there ({first_line(error)}); "
            "start one with: dask scheduler"
        ) from None
    with client:
        number = len(client.nthreads())
        if number == 0:
            raise StageError(
                f"--scheduler {scheduler}: it has no workers; start some with: "
                f"dask worker {scheduler}"
            )
        yield Workers(client, number, per_host=1)


def result_of(future: Any, stage: str, way_out: str) -> Any:
    """What a task returned; whatever it raised.

    Raises:
        StageError: the scheduler was lost, or the task's workers were killed; `way_out` says what
            makes a task of this stage smaller.

    """
    from concurrent.futures import CancelledError

    from distributed import KilledWorker

    try:
        return future.result()
    except CancelledError:
        raise StageError(
            f"{stage}: the Dask scheduler was lost; what is finished is kept: run it again"
        ) from None
    except KilledWorker:
        raise StageError(
            f"{stage}: the worker was killed again and again, most likely for want of memory; "
            f"{way_out}"
        ) from None


@contextmanager
def _start_cluster(lake: Lake) -> Iterator[tuple["LocalCluster", "Client"]]:
    """One worker on this machine, to which others may be added."""
    import dask
    from distributed import Client, LocalCluster

    is_verbose = logging.getLogger().isEnabledFor(logging.INFO)
    level = logging.INFO if is_verbose else logging.CRITICAL
    # Beside `silence_logs`: that is of handlers which are made only where we have none.
    logging.getLogger("distributed").setLevel(level)
    scratch, environment = lake.scratch / "dask", dict(os.environ)
    try:
        with ExitStack() as stack:
            with (
                _interrupts_deferred(),
                dask.config.set({"distributed.nanny.pre-spawn-environ": WORKER_ENVIRONMENT}),
            ):
                cluster = LocalCluster(
                    n_workers=1,
                    threads_per_worker=1,
                    host="127.0.0.1",
                    dashboard_address="127.0.0.1:0",  # None takes port 8787, which may be in use
                    scheduler_kwargs={"dashboard": False},
                    memory_limit=0,  # tasks are bounded; Dask's own limit would pause or kill them
                    local_directory=str(scratch),
                    silence_logs=level,
                )
                stack.enter_context(cluster)
            client = stack.enter_context(Client(cluster))
            try:
                yield cluster, client
            finally:
                with _interrupts_deferred():
                    stack.close()
    finally:
        _restore(environment)
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _interrupts_deferred() -> Iterator[None]:
    """Let Ctrl-C wait until the end of the block, and never reach a process started in it.

    A terminal interrupts the workers too, which would only print tracebacks: they inherit that the
    signal is blocked, and are closed by this process.
    """
    resource_tracker.ensure_running()  # starting it would let the signal through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _restore(environment: dict[str, str]) -> None:
    # Distributed gives its workers their environment by changing that of this process.
    os.environ.clear()
    os.environ.update(environment)
