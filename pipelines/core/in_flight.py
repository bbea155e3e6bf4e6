"""Work that runs ahead of who reads its results: a bounded number of futures, in their order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
Future = TypeVar("Future")


def in_flight(
    submit: Callable[[Item], Future], items: Iterable[Item], at_once: int
) -> Iterator[tuple[Item, Future]]:
    """Yield each item with its future, after at most `at_once` further ones were submitted.

    A future is forgotten as it is yielded, so that its result can be.
    """
    waiting: deque[tuple[Item, Future]] = deque()
    for item in items:
        waiting.append((item, submit(item)))
        if len(waiting) > at_once:
            yield waiting.popleft()
    while waiting:
        yield waiting.popleft()
