"""Addresses of the public internet: nothing else is asked for an image."""

import ipaddress
import socket

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from .rows import Refused

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_AZURE_METADATA = ipaddress.ip_address("168.63.129.16")  # the one that no reserved range covers


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


def check_host(url: URL, *, allow_private: bool) -> None:
    """Check a host that is an address already: it never comes to the resolver.

    Raises:
        Refused: private_address, or invalid_url.

    """
    host = url.host or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # "127.1" and "2130706433" are loopback to a socket, and no address to anyone else.
        if host.replace(".", "").isdigit():
            raise Refused("invalid_url", f"{host}: not an address") from None
        return
    if not allow_private:
        _refuse_private(address)


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


def _refuse_private(address: Address) -> None:
    if not is_public(address):
        raise Refused("private_address", f"{address} is not a public address")
