"""Whether this machine has a network: only then is it a host's fault that nobody answers."""

import asyncio
import errno
import ipaddress
import math
import socket
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import aiohttp

from ..core.errors import StageError
from .machine import fault_of

_A_NAME = "a.root-servers.net"  # that every resolver of the internet knows
_OUTSIDE = ("192.0.2.1", "2001:db8::1")  # of no host: asked for the route alone
_PAUSE = 1.0  # seconds between two looks at a network that is down
_ANSWERS = (errno.ECONNREFUSED, errno.ECONNRESET)


class NetworkWasDown(Exception):
    """There was no network, and there is again: what failed says nothing and is to be repeated."""


class Network:
    """What was heard from other machines, and whether there is a network where nothing was.

    `patience` are the seconds for which a network may be down before the stage stops.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._heard_at = -math.inf
        self._thread = ThreadPoolExecutor(1)  # not the one where other lookups wait
        self._lookup: asyncio.Future[bool] | None = None

    def heard(self) -> None:
        """Something answered just now."""
        self._heard_at = time.monotonic()

    @asynccontextmanager
    async def blames(self, host: str) -> AsyncIterator[None]:
        """Let an error of the block pass as the host's own only where the network was up.

        Raises:
            NetworkWasDown: it was not, and is again.
            StageError: it stays down.

        """
        began = time.monotonic()
        try:
            yield
        except (TimeoutError, aiohttp.ClientConnectorError) as error:
            if not _is_unanswered(error):
                self.heard()
            elif fault_of(error) is None and not await self._was_up(host, began):
                raise NetworkWasDown from None
            raise

    async def _was_up(self, host: str, since: float) -> bool:
        """Whether something was heard since then, or would be now; waits while nothing is."""
        was_up, deadline = True, time.monotonic() + self._patience
        while not (self._heard_at >= since or await self._is_up(host)):
            if time.monotonic() >= deadline:
                raise StageError(
                    "fetch: this machine has no network: no name is found and nothing answers; "
                    "mend it and run fetch again; what is finished is kept"
                )
            was_up = False
            await asyncio.sleep(_PAUSE)
        return was_up

    async def _is_up(self, host: str) -> bool:
        if _is_address(host):  # nobody was asked for a name
            return has_route(host, *_OUTSIDE)
        if self._lookup is None or self._lookup.done():  # one for all who want to know
            loop = asyncio.get_running_loop()
            self._lookup = loop.run_in_executor(self._thread, finds_names)
        return await asyncio.shield(self._lookup)


def finds_names() -> bool:
    """Whether somebody answers who is asked for a name, were it that there is none such.

    Inside a closed network that is the answer. Some systems give it without asking anybody when
    they have no network, but then they have no route either.
    """
    try:
        socket.getaddrinfo(_A_NAME, None, type=socket.SOCK_STREAM)
    except OSError as error:
        return error.errno == socket.EAI_NONAME and has_route(*_OUTSIDE)
    return True


def has_route(*addresses: str) -> bool:
    """Whether this machine knows a way to one of the addresses; sends nothing."""
    return any(map(_has_route, addresses))


def _has_route(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asked:
            asked.connect((address, 9))  # of a datagram: only looks for the route
    except OSError:
        return False
    return True


def _is_unanswered(error: Exception) -> bool:
    refused = isinstance(error, OSError) and error.errno in _ANSWERS
    return not refused and not isinstance(error, aiohttp.ClientSSLError)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
