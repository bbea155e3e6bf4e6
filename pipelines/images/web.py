"""Images from http(s): bounded in number, time and size, and never from an address inside."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import TypeVar
from weakref import WeakValueDictionary

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.http_exceptions import ContentEncodingError
from yarl import URL

from ... import __version__
from ..core.study import Fetch
from .busy import BusyHosts
from .connections import FewAddresses, FewIdleConnector, downloads_at_once
from .headers import opt_out_of, retry_after
from .machine import fault_of
from .network import Network, NetworkWasDown
from .public import PublicResolver, check_host
from .robots import MAX_BYTES, RobotsFiles
from .rows import Later, Refused, Row
from .urls import address_of, host_of, redirected

T = TypeVar("T")

_ERRORS = (aiohttp.ClientError, OSError, ValueError)  # that a host or an address may lead to

_MAX_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_BUSY = (429, 500, 502, 503, 504)
_BACKOFF = 0.5  # seconds before the second attempt, and twice as long before each further one
_CHUNK = 65_536  # bytes
_AGENT = "memtriggers"  # as robots.txt may call this program
_HEADERS = {
    "Accept": "image/*, */*;q=0.5",
    "Accept-Encoding": "identity",  # images are compressed already, and what is sent is counted
}


class _MayPass(Refused):
    """Refused for now: another attempt after so many seconds, where a host names them."""

    def __init__(
        self, status: str, reason: str, wait: float | None = None, host: str | None = None
    ) -> None:
        super().__init__(status, reason)
        self.wait, self.host = wait, None if wait is None else host


class WebSource:
    """Downloads over one bounded pool of connections, few of them to the same host."""

    def __init__(
        self, session: aiohttp.ClientSession, settings: Fetch, robots: Path | None = None
    ) -> None:
        self._session, self._settings = session, settings
        self.at_once = settings.connections
        self._network = Network(settings.timeout)
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._busy = BusyHosts(settings.timeout)
        self._tried: Counter[str] = Counter()  # attempts, of samples that come again
        self._robots = (
            RobotsFiles(self._ask_for_robots, robots, _AGENT) if settings.robots_txt else None
        )

    def close(self) -> None:
        """Close what is kept of robots.txt."""
        if self._robots is not None:
            self._robots.close()

    async def read(self, row: Row) -> bytes:
        """The bytes that the sample's address serves.

        A busy server and a connection that broke are to be tried again, `retries` times, after the
        wait that the server names; one that is longer than a request may take is left to a later
        run, and so is a host that goes on to ask for one.

        Raises:
            Later: it is to be tried again.
            Refused: invalid_url, private_address, dns, tls, connection, timeout, http_<code>,
                content_encoding, too_many_redirects, insecure_redirect, too_large, or why it may
                not be used: opted_out, opted_out_tdm, opted_out_content_usage,
                opted_out_robots_txt, robots_txt_unreachable.
            StageError: this machine has no network.
            OSError, MemoryError: another fault of this machine.

        """
        n_tried = self._tried.pop(row.sample_id, 0)
        try:
            return await self._read_once(row.url)
        except _MayPass as refused:
            wait = _BACKOFF * 2**n_tried if refused.wait is None else refused.wait
            if n_tried == self._settings.retries or wait > self._settings.timeout:
                raise
            self._tried[row.sample_id] = n_tried + 1
            # Of the host that asked; a row that was led there waits alone.
            is_of_host = refused.host is not None and refused.host == host_of(row.url)
            raise Later(refused.status, refused.reason, wait, is_of_host=is_of_host) from None

    async def _read_once(self, text: str | None) -> bytes:
        while True:
            try:
                return await self._follow(address_of(text), self._read_image, self._robots)
            except NetworkWasDown:
                continue
            except _ERRORS as error:
                raise self._refused_for(error) from None

    def _refused_for(self, error: Exception) -> Refused:
        """Why a request has no answer; raises the error itself where it is this machine's fault."""
        if fault_of(error):
            raise error
        if isinstance(error, TimeoutError):
            return Refused("timeout", f"after {self._settings.timeout:g} s")
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            return Refused("dns", str(error.os_error))
        if isinstance(error, aiohttp.ClientSSLError):
            return Refused("tls", str(error))
        if isinstance(error, aiohttp.ClientConnectorError):  # nobody there, which seldom passes
            return Refused("connection", str(error))
        if isinstance(error, aiohttp.NonHttpUrlClientError | ValueError):
            return Refused("invalid_url", str(error))
        if isinstance(error.__cause__, ContentEncodingError):
            return Refused("content_encoding", error.__cause__.message)
        return _MayPass("connection", str(error) or type(error).__name__)

    async def _read_image(self, response: aiohttp.ClientResponse) -> bytes:
        self._check_response(response)
        limit = self._settings.max_bytes
        data = await _first_bytes(response, limit + 1)
        if len(data) > limit:
            raise Refused("too_large", f"more than {limit:,} bytes")
        return data

    async def _ask_for_robots(self, url: URL) -> tuple[int, bytes]:
        try:
            return await self._follow(url, _read_robots)
        except _ERRORS as error:
            raise self._refused_for(error) from None

    async def _follow(
        self,
        url: URL,
        read: Callable[[aiohttp.ClientResponse], Awaitable[T]],
        robots: RobotsFiles | None = None,
    ) -> T:
        """What is read of the answer at the end of an address's redirects; each step is checked."""
        cookies: aiohttp.CookieJar | None = None  # of these redirects
        left = self._settings.row_timeout
        for _ in range(1 + _MAX_REDIRECTS):
            check_host(url, allow_private=self._settings.allow_private_hosts)
            self._busy.check(url)
            if robots is not None:
                await robots.check(url)
            # By hand, so that every step of a redirect is checked. Waiting for a turn takes no time
            # from the request.
            sent = None if cookies is None else cookies.filter_cookies(url)
            seconds = min(self._settings.timeout, left)
            try:
                async with (
                    self._turn(url),
                    self._network.blames(url.host or ""),
                    asyncio.timeout(seconds) as limit,
                    self._session.get(url, allow_redirects=False, cookies=sent) as response,
                ):
                    self._network.heard()
                    if response.status not in _REDIRECTS:
                        return await read(response)
                    left -= seconds - ((limit.when() or 0.0) - asyncio.get_running_loop().time())
            except TimeoutError:
                if left < self._settings.timeout:
                    reason = f"after {self._settings.row_timeout:g} s, all redirects together"
                    raise Refused("timeout", reason) from None
                raise
            if response.cookies:
                cookies = cookies or aiohttp.CookieJar(unsafe=True)  # also of bare addresses
                cookies.update_cookies(response.cookies, url)
            url = self._next(url, response.headers.get("Location", ""))
        raise Refused("too_many_redirects", f"more than {_MAX_REDIRECTS}")

    def _next(self, url: URL, location: str) -> URL:
        found = redirected(url, location)
        is_open = (url.scheme, found.scheme) == ("https", "http")
        if is_open and not self._settings.insecure_redirects:
            raise Refused("insecure_redirect", f"from https to {found}")
        return found

    def _turn(self, url: URL) -> asyncio.Semaphore:
        """What a request to this host waits for; forgotten when nobody does."""
        turn = asyncio.Semaphore(self._settings.connections_per_host)
        return self._turns.setdefault(url.host or "", turn)

    def _check_response(self, response: aiohttp.ClientResponse) -> None:
        """Refuse, from its status and headers alone, what need not be read."""
        status, reason = f"http_{response.status}", response.reason or ""
        wait = retry_after(response.headers) if response.status in _BUSY else None
        self._busy.heard(response.url, status, wait)
        if response.status in _BUSY:
            raise _MayPass(status, reason, wait, response.url.host)
        if not 200 <= response.status < 300:
            raise Refused(status, reason)
        if opt_out := opt_out_of(response.headers, self._settings):
            raise Refused(*opt_out)
        limit = self._settings.max_bytes
        if (response.content_length or 0) > limit:
            raise Refused("too_large", f"{response.content_length:,} bytes; at most {limit:,}")


async def _read_robots(response: aiohttp.ClientResponse) -> tuple[int, bytes]:
    return response.status, await _first_bytes(response, MAX_BYTES)


async def _first_bytes(response: aiohttp.ClientResponse, n: int) -> bytes:
    data = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        data += chunk
        if len(data) >= n:
            break
    return bytes(data) if len(data) <= n else bytes(data[:n])


@asynccontextmanager
async def open_web(settings: Fetch, robots: Path | None = None) -> AsyncIterator[WebSource]:
    """A `WebSource`; its connections are closed at the end.

    Args:
        settings: of the study.
        robots: a file that keeps what the hosts' robots.txt say, for as long as they are trusted.

    """
    settings = replace(settings, connections=downloads_at_once(settings.connections))
    # Host names are looked up in the loop's own threads: as many as there may be connections.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(settings.connections))
    resolver: AbstractResolver = aiohttp.DefaultResolver()
    if not settings.allow_private_hosts:
        resolver = PublicResolver(resolver)
    connector = FewIdleConnector(limit=settings.connections, resolver=FewAddresses(resolver))
    contact = f" (+{settings.contact})" if settings.contact else ""
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),  # each request has its own
        headers=_HEADERS | {"User-Agent": f"{_AGENT}/{__version__}{contact}"},
    ) as session:
        with closing(WebSource(session, settings, robots)) as source:
            yield source
