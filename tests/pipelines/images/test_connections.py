"""As many downloads, and as many addresses of a host, as this machine's limits have room for."""

import asyncio
import socket
import subprocess
import sys

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from memtriggers.pipelines.images.connections import (
    FewAddresses,
    FewIdleConnector,
)

_DOWNLOADS_WITH_LIMITS = """
import resource
from memtriggers.pipelines.images.connections import downloads_at_once

def with_limit(limit):
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, 4096))
    return downloads_at_once(64)

print(*map(with_limit, (3, 30, 256, 4096)))
"""


def test_downloads_fit_into_the_limit_of_open_files() -> None:
    # In a process of its own, with few files open: at the first limit, not even one more.
    ran = subprocess.run(
        [sys.executable, "-c", _DOWNLOADS_WITH_LIMITS], capture_output=True, text=True, check=True
    )
    full, few, some, enough = map(int, ran.stdout.split())
    assert (full, few, enough) == (1, 1, 64)
    assert 5 <= some <= 40


class ManyAddresses(AbstractResolver):
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = [(f"::{n}", socket.AF_INET6) for n in range(1, 100)]
        found += [(f"127.0.0.{n}", socket.AF_INET) for n in range(1, 100)]
        return [
            ResolveResult(hostname=host, host=ip, port=port, family=kind, proto=0, flags=0)
            for ip, kind in found
        ]

    async def close(self) -> None:
        """Nothing to close."""


def test_a_host_with_hundreds_of_addresses_is_tried_at_two_of_each_kind() -> None:
    found = asyncio.run(FewAddresses(ManyAddresses()).resolve("many.example", 80))
    assert [one["host"] for one in found] == ["::1", "::2", "127.0.0.1", "127.0.0.2"]


@pytest.mark.skipif(sys.platform != "linux", reason="127.x.y.z is one address elsewhere")
def test_few_connections_stay_open_that_nobody_uses() -> None:
    open_now, most = 0, 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        while await reader.readline():
            while (await reader.readline()).strip():
                pass
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        open_now -= 1
        writer.close()

    async def ask_everyone() -> None:
        server = await asyncio.start_server(answer, "0.0.0.0", 0)
        port = server.sockets[0].getsockname()[1]
        connector = FewIdleConnector(limit=3)
        async with server, aiohttp.ClientSession(connector=connector) as session:
            for host in range(1, 51):
                for _ in range(2):
                    async with session.get(f"http://127.0.0.{host}:{port}/") as response:
                        await response.read()

    asyncio.run(ask_everyone())
    assert 3 <= most <= 6, "those that are kept, and those whose end the server has not seen"
