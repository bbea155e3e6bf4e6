"""Processor time, which tests may bound: a clock on the wall tells how busy the machine is."""

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def of_children() -> float:
    """The seconds that ended children of this process have used, with all below them."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def measured(clock: Callable[[], float] = time.process_time) -> Iterator[list[float]]:
    """A list into which the seconds of the block go when it ends."""
    started, seconds = clock(), []
    yield seconds
    seconds.append(clock() - started)
