"""What is said when the workers of a stage are lost."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

pytest.importorskip("distributed", reason="needs memtriggers[embed]")

import dask

from memtriggers.pipelines.core.errors import StageError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Resources
from memtriggers.pipelines.core.workers import Workers, result_of, start_workers


@pytest.fixture
def workers(lake: Lake) -> Iterator[Workers]:
    resources = Resources(device="cpu")
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        start_workers(lake, resources) as workers,
    ):
        yield workers


def kill_this_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_is_killed_is_one_line_with_the_way_out(workers: Workers) -> None:
    future = workers.client.submit(kill_this_process)
    with pytest.raises(StageError, match=r"cluster: the worker was killed .*; take fewer") as error:
        result_of(future, "cluster", "take fewer")
    assert "\n" not in str(error.value)


def test_what_a_task_raises_is_raised(workers: Workers) -> None:
    with pytest.raises(ZeroDivisionError):
        result_of(workers.client.submit(divmod, 1, 0), "cluster", "take fewer")


def test_a_task_that_nobody_will_finish_is_one_line(workers: Workers) -> None:
    future = workers.client.submit(time.sleep, 60)
    future.cancel()
    with pytest.raises(StageError, match=r"embed: the Dask scheduler was lost; .* run it again"):
        result_of(future, "embed", "take fewer")
