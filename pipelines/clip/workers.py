"""A Dask cluster on this machine for the length of one stage: one worker, or one a GPU."""

import logging
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING

from ..lake import Lake

if TYPE_CHECKING:
    from distributed import Client


# Distributed tells its workers' malloc to give memory back at once, and so to have each large
# tensor mapped and zeroed anew: that alone makes a forward pass 2.7 times as expensive. With more
# than one arena, each thread's largest tensors would be kept apart: 250 MB more.
_WORKER_ENVIRONMENT = {
    "MALLOC_TRIM_THRESHOLD_": 1 << 30,
    "MALLOC_MMAP_THRESHOLD_": 1 << 30,
    "MALLOC_ARENA_MAX": 1,
    "OMP_NUM_THREADS": 1,
}


@dataclass(frozen=True)
class Workers:
    """Worker processes that take tasks; each runs one at a time, with every core or its GPU."""

    client: "Client"
    number: int


@contextmanager
def start_workers(lake: Lake, count_gpus: Callable[[], int]) -> Iterator[Workers]:
    """Start workers, and close them however the block ends.

    `count_gpus` runs in a worker, so that this process need not import torch. On a machine without
    a GPU one worker uses all the cores: a second one would only hold the model twice.
    """
    import dask
    from distributed import Client, LocalCluster

    is_verbose = logging.getLogger().isEnabledFor(logging.INFO)
    scratch, environment = lake.scratch / "dask", dict(os.environ)
    try:
        with ExitStack() as stack:
            with (
                _interrupts_deferred(),
                dask.config.set({"distributed.nanny.pre-spawn-environ": _WORKER_ENVIRONMENT}),
            ):
                cluster = LocalCluster(
                    n_workers=1,
                    threads_per_worker=1,
                    host="127.0.0.1",
                    dashboard_address="127.0.0.1:0",  # None takes port 8787, which may be in use
                    scheduler_kwargs={"dashboard": False},
                    memory_limit=0,  # tasks are bounded; Dask's own limit would pause or kill them
                    local_directory=str(scratch),
                    silence_logs=logging.INFO if is_verbose else logging.CRITICAL,
                )
                stack.enter_context(cluster)
            client = stack.enter_context(Client(cluster))
            number = max(1, client.submit(count_gpus).result())
            cluster.scale(number)
            client.wait_for_workers(number)
            try:
                yield Workers(client, number)
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
