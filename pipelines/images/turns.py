"""Whose turn it is: few rows of one host at the same time, and none while it asks for time.

A row that waits for its host holds no worker, so that the other hosts go on.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

_AHEAD = 10_000  # rows in memory that wait for their hosts


@dataclass(eq=False)
class _Host(Generic[T]):
    name: str
    waiting: deque[T] = field(default_factory=deque)
    n_busy: int = 0
    n_later: int = 0  # of what comes again
    free_at: float = 0.0  # nothing is asked of it before
    is_listed: bool = False  # among those that are ready


class Turn(NamedTuple, Generic[T]):
    """An item that is worked on; of a host, where it has one."""

    item: T
    host: _Host[T] | None


class Turns(Generic[T]):
    """Hands out items, at most `per_host` of each host at the same time.

    Args:
        items: of any number; some thousand that wait for their hosts are in memory.
        host_of: the host of an item; None where there is nothing to wait for.
        per_host: how many of one host are worked on side by side.

    """

    def __init__(
        self, items: Iterator[T], host_of: Callable[[T], str | None], per_host: int
    ) -> None:
        self._items, self._host_of, self._per_host = items, host_of, per_host
        self._hosts: dict[str, _Host[T]] = {}  # that have an item anywhere
        self._ready: deque[_Host[T]] = deque()
        self._later: list[tuple[float, int, _Host[T], T | None]] = []  # no item: the host is free
        self._numbers = count()
        self._n_waiting = 0
        self._is_exhausted = False
        self._idle: deque[asyncio.Future[None]] = deque()

    async def take(self) -> Turn[T] | None:
        """The next item as soon as one has its turn; None: all are done."""
        while True:
            self._wake()
            if self._ready:
                return self._start(self._ready.popleft())
            if not self._is_exhausted and self._n_waiting < _AHEAD:
                for item in self._items:
                    name = self._host_of(item)
                    if name is None:
                        return Turn(item, None)
                    self._wait_for(self._hosts.setdefault(name, _Host(name)), item)
                    break
                else:
                    self._is_exhausted = True
            elif self._hosts:
                await self._change()
            else:
                return None

    def done(self, turn: Turn[T]) -> None:
        """Give a turn back."""
        host = turn.host
        if host is None:
            return
        host.n_busy -= 1
        self._list(host)
        if not (host.waiting or host.n_busy or host.n_later):
            del self._hosts[host.name]
        self._rouse(1 if self._hosts else len(self._idle))

    def again(self, turn: Turn[T], wait: float, *, is_of_host: bool) -> None:
        """Give a turn back, and let its item come again after so many seconds.

        Where the wait is of the host, nothing else is asked of it before.
        """
        host, at = turn.host, time.monotonic() + wait
        assert host is not None  # only hosts ask for time
        if is_of_host:
            host.free_at = max(host.free_at, at)
            host.waiting.appendleft(turn.item)
            self._n_waiting += 1
        host.n_later += 1
        heappush(self._later, (at, next(self._numbers), host, None if is_of_host else turn.item))
        self.done(turn)

    def _start(self, host: _Host[T]) -> Turn[T]:
        host.is_listed = False
        host.n_busy += 1
        self._n_waiting -= 1
        turn = Turn(host.waiting.popleft(), host)
        self._list(host)
        return turn

    def _wait_for(self, host: _Host[T], item: T) -> None:
        host.waiting.append(item)
        self._n_waiting += 1
        self._list(host)

    def _list(self, host: _Host[T]) -> None:
        """Put a host among those that are ready, where it is."""
        has_turn = host.n_busy < self._per_host and time.monotonic() >= host.free_at
        if host.waiting and has_turn and not host.is_listed:
            host.is_listed = True
            self._ready.append(host)

    def _wake(self) -> None:
        """Bring what was to come later, and is due."""
        while self._later and self._later[0][0] <= time.monotonic():
            _, _, host, item = heappop(self._later)
            host.n_later -= 1
            if item is None:
                self._list(host)
            else:
                self._wait_for(host, item)

    async def _change(self) -> None:
        """Wait until a turn is given back, or something is due."""
        roused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._idle.append(roused)
        wait = self._later[0][0] - time.monotonic() if self._later else None
        await asyncio.wait({roused}, timeout=wait)
        if not roused.done():
            self._idle.remove(roused)

    def _rouse(self, n: int) -> None:
        while n > 0 and self._idle:
            roused = self._idle.popleft()
            if not roused.done():
                roused.set_result(None)
                n -= 1
