"""Connections that fit into this machine's limit of open files, also those that nobody uses."""

import logging
import resource
import socket
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

log = logging.getLogger(__name__)

_ADDRESSES = 2  # of one host and one kind that are tried, several of them at the same time
# Open files that a download may need: four attempts to connect, two of looking up a name, and one
# connection that nobody uses.
_EACH = 2 * _ADDRESSES + 3
_OTHERS = 64  # of the tables that are read and written meanwhile


def downloads_at_once(wanted: int) -> int:
    """As many downloads as the limit of open files (`ulimit -n`) has room for; at least one."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = limit - _open_files(limit) - _OTHERS
    if limit == resource.RLIM_INFINITY or room >= wanted * _EACH:
        return wanted
    at_once = max(1, room // _EACH)
    log.warning(
        "fetch: %d downloads at the same time instead of %d, for this machine allows %d open "
        "files; more with: ulimit -n %d",
        *(at_once, wanted, limit, limit - room + wanted * _EACH),
    )
    return at_once


def _open_files(limit: int) -> int:
    try:
        return len(list(Path("/dev/fd").iterdir()))
    except OSError:  # the limit is reached, and to list what is open takes one more
        return limit


class FewIdleConnector(aiohttp.TCPConnector):
    """Keeps at most `limit` connections that nobody uses, beside as many that somebody does.

    aiohttp counts only the latter: of a thousand hosts, a thousand would stay open for a while.
    """

    def _release(self, key: Any, protocol: Any, *, should_close: bool = False) -> None:
        is_full = sum(map(len, self._conns.values())) >= self.limit
        closes = should_close or protocol.should_close or is_full
        if closes and protocol.transport is not None:
            protocol.transport.abort()  # closing TLS would wait for the server, up to 30 s
        super()._release(key, protocol, should_close=closes)


class FewAddresses(AbstractResolver):
    """The first addresses of each kind that a host has: all of them are tried, at short intervals.

    One with hundreds that do not answer would use up the open files.
    """

    def __init__(self, resolver: AbstractResolver) -> None:
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """As the resolver beneath, two addresses of each kind at most."""
        first, n_of = [], Counter[int]()
        for result in await self._resolver.resolve(host, port, family):
            n_of[result["family"]] += 1
            if n_of[result["family"]] <= _ADDRESSES:
                first.append(result)
        return first

    async def close(self) -> None:
        """Close the resolver beneath."""
        await self._resolver.close()
