"""A server on this machine that tells what it was asked for, byte for byte, and answers by it."""

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple


class Request(NamedTuple):
    """What a client sent: the target as it came, and the headers by their names in lower case."""

    target: str
    headers: dict[str, str]


def answer(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    """An answer; the name of a header has _ for -."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *lines])
    return head.encode() + b"\r\n\r\n" + body


@contextmanager
def serving_raw(
    reply: Callable[[Request], bytes], tls: ssl.SSLContext | None = None
) -> Iterator[int]:
    """Serve on every address of this machine; yields the port."""
    loop = asyncio.new_event_loop()
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                first, *lines = head.decode("latin-1").strip().split("\r\n")
                pairs = (line.split(": ", 1) for line in lines)
                headers = {name.lower(): value for name, value in pairs}
                writer.write(reply(Request(first.split(" ", 1)[1].rpartition(" ")[0], headers)))
                await writer.drain()
        writer.close()

    server = loop.run_until_complete(asyncio.start_server(serve, "0.0.0.0", 0, ssl=tls))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        for writer in writers:
            writer.transport.abort()
        loop.run_until_complete(_all_ended())
        loop.close()


async def _all_ended() -> None:
    await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))
