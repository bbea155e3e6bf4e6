"""Images from http(s): bounded in number, time and size, and never from an address inside."""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from weakref import WeakValueDictionary

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from ... import __version__
from ..core.study import Fetch
from .connections import FewAddresses, FewIdleConnector, downloads_at_once
from .headers import is_opted_out, retry_after
from .machine import fault_of
from .network import Network, NetworkWasDown
from .rows import Refused, Row

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_MAX_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_BUSY = (429, 500, 502, 503, 504)
_BACKOFF = 0.5  # seconds before the second attempt, and twice as long before each further one
_CHUNK = 65_536  # bytes
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_AZURE_METADATA = ipaddress.ip_address("168.63.129.16")  # the one that no reserved range covers
_HEADERS = {
    "User-Agent": f"memtriggers/{__version__}",
    "Accept": "image/*, */*;q=0.5",
    "Accept-Encoding": "identity",  # images are compressed already, and what is sent is counted
}


class _MayPass(Refused):
    """Refused for now: another attempt after so many seconds, None when the server names none."""

    def __init__(self, status: str, reason: str, wait: float | None = None) -> None:
        super().__init__(status, reason)
        self.wait = wait


class WebSource:
    """Downloads over one bounded pool of connections, few of them to the same host."""

    def __init__(self, session: aiohttp.ClientSession, settings: Fetch) -> None:
        self._session, self._settings = session, settings
        self.at_once = settings.connections
        self._network = Network(settings.timeout)
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def read(self, row: Row) -> bytes:
        """The bytes that the sample's address serves.

        A busy server and a connection that broke are tried again, `retries` times, after the wait
        that the server names; one that is longer than a request may take is left to a later run.

        Raises:
            Refused: invalid_url, private_address, dns, tls, connection, timeout, http_<code>,
                too_many_redirects, too_large or opted_out.
            StageError: this machine has no network.
            OSError, MemoryError: another fault of this machine.

        """
        for attempt in range(self._settings.retries):
            try:
                return await self._read_once(row.url)
            except _MayPass as refused:
                wait = _BACKOFF * 2**attempt if refused.wait is None else refused.wait
                if wait > self._settings.timeout:
                    raise
            await asyncio.sleep(wait)
        return await self._read_once(row.url)

    async def _read_once(self, url: str | None) -> bytes:
        while True:
            try:
                return await self._follow(_parse(url))
            except NetworkWasDown:
                continue
            except (aiohttp.ClientError, OSError, ValueError) as error:
                if fault_of(error):
                    raise
                raise self._refusal(error) from None

    def _refusal(self, error: Exception) -> Refused:
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
        return _MayPass("connection", str(error) or type(error).__name__)

    async def _follow(self, url: URL) -> bytes:
        for _ in range(1 + _MAX_REDIRECTS):
            _check_address(url, self._settings)
            # By hand, so that every step of a redirect is checked. Waiting for a turn takes no time
            # from the request.
            async with (
                self._turn(url),
                self._network.blames(url.host or ""),
                asyncio.timeout(self._settings.timeout),
                self._session.get(url, allow_redirects=False) as response,
            ):
                self._network.heard()
                if response.status not in _REDIRECTS:
                    return await self._body(response)
                url = _check_scheme(url.join(URL(response.headers.get("Location", ""))))
        raise Refused("too_many_redirects", f"more than {_MAX_REDIRECTS}")

    def _turn(self, url: URL) -> asyncio.Semaphore:
        """What a request to this host waits for; forgotten when nobody does."""
        turn = asyncio.Semaphore(self._settings.connections_per_host)
        return self._turns.setdefault(url.host or "", turn)

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        self._check_response(response)
        limit = self._settings.max_bytes
        data = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK):
            data += chunk
            if len(data) > limit:
                raise Refused("too_large", f"more than {limit:,} bytes")
        return bytes(data)

    def _check_response(self, response: aiohttp.ClientResponse) -> None:
        """Refuse, from its status and headers alone, what need not be read."""
        status, reason = f"http_{response.status}", response.reason or ""
        if response.status in _BUSY:
            raise _MayPass(status, reason, retry_after(response.headers))
        if not 200 <= response.status < 300:
            raise Refused(status, reason)
        if self._settings.opt_out and is_opted_out(response.headers):
            raise Refused("opted_out", ", ".join(response.headers.getall("X-Robots-Tag")))
        limit = self._settings.max_bytes
        if (response.content_length or 0) > limit:
            raise Refused("too_large", f"{response.content_length:,} bytes; at most {limit:,}")


@asynccontextmanager
async def open_web(settings: Fetch) -> AsyncIterator[WebSource]:
    """A `WebSource`; its connections are closed at the end."""
    settings = replace(settings, connections=downloads_at_once(settings.connections))
    # Host names are looked up in the loop's own threads: as many as there may be connections.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(settings.connections))
    resolver: AbstractResolver = aiohttp.DefaultResolver()
    if not settings.allow_private_hosts:
        resolver = PublicResolver(resolver)
    connector = FewIdleConnector(limit=settings.connections, resolver=FewAddresses(resolver))
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),  # each request has its own
        headers=_HEADERS,
    ) as session:
        yield WebSource(session, settings)


class PublicResolver(AbstractResolver):
    """Resolves names, and refuses those with an address that is not public.

    It stands where the connection is made, so that a name cannot mean another address by then.
    """

    def __init__(self, resolver: AbstractResolver) -> None:
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """As the resolver beneath; raises Refused when one of the addresses is not public."""
        results = await self._resolver.resolve(host, port, family)
        for result in results:
            _refuse_private(ipaddress.ip_address(result["host"]))
        return results

    async def close(self) -> None:
        """Close the resolver beneath."""
        await self._resolver.close()


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet, also when it is wrapped in IPv6."""
    address = _unwrap(address)
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and address != _AZURE_METADATA
    )


def _unwrap(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or teredo or address


def _parse(url: str | None) -> URL:
    if not url or not url.strip():
        raise Refused("invalid_url", "null" if url is None else "empty")
    return _check_scheme(URL(url.strip()))


def _check_scheme(url: URL) -> URL:
    if url.scheme not in ("http", "https") or not url.host:
        raise Refused("invalid_url", f"{url}: neither http nor https")
    return url


def _check_address(url: URL, settings: Fetch) -> None:
    """Check a host that is an address already: it never comes to the resolver."""
    host = url.host or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # "127.1" and "2130706433" are loopback to a socket, and no address to anyone else.
        if host.replace(".", "").isdigit():
            raise Refused("invalid_url", f"{host}: not an address") from None
        return
    if not settings.allow_private_hosts:
        _refuse_private(address)


def _refuse_private(address: Address) -> None:
    if not is_public(address):
        raise Refused("private_address", f"{address} is not a public address")
