"""Addresses of the public internet: nothing else is asked for an image."""

import ipaddress
import socket

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from .rows import Refused

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_GLOBAL_IPV6 = ipaddress.ip_network("2000::/3")  # the only part of IPv6 that is given to anybody

# IANA's registries of special-purpose addresses, multicast, and Azure's metadata: what is not
# reached from the internet. Python's own table (`is_global`) is as old as its version.
_NOT_PUBLIC = tuple(
    map(
        ipaddress.ip_network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
            *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
            *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
            "168.63.129.16/32",
            *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
        ),
    )
)
# Those within them that are.
_PUBLIC_WITHIN = tuple(
    map(
        ipaddress.ip_network,
        (
            *("192.0.0.9/32", "192.0.0.10/32"),
            *("2001:1::1/128", "2001:1::2/128", "2001:1::3/128", "2001:3::/32", "2001:4:112::/48"),
            *("2001:20::/28", "2001:30::/28"),
        ),
    )
)


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
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_IPV6:
        return False
    return _is_in(address, _PUBLIC_WITHIN) or not _is_in(address, _NOT_PUBLIC)


def _is_in(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)


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
