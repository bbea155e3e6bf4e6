"""A server with nonsense of its own for each address: `-m memtriggers.tests.random_server SEED`.

What a path gets depends on the path and the seed alone, so that a failure comes
back. It prints its port; every address 127.x.y.z reaches it.
"""

import asyncio
import gzip
import random
import struct
import sys
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import partial

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)
_NAMES = (
    *(b"Retry-After", b"Location", b"Content-Length", b"Content-Encoding", b"Transfer-Encoding"),
    *(b"X-Robots-Tag", b"Set-Cookie", b"Content-Type", b"Connection", b"Date", b"Upgrade"),
    *(b"Content-Range", b"Link", b"WWW-Authenticate", b"Trailer", b"Content-Disposition"),
)
_VALUES = (
    *(
        b"",
        b"0",
        b"1",
        b"-1",
        b"99999999999999999999",
        b"9" * 4000,
        b"1e9",
        b"0x10",
        b"\xb2",
        b"NaN",
    ),
    *(b"Fri, 31 Dec 99999999999999999999 23:59:59 GMT", b"Fri, 31 Dec 9999 23:59:59 -2359"),
    *(b"Wed, 21 Oct 2015 07:28:00 +99999999999", b"Wed, 21 Oct 2015 07:28:00", b"0 Jan 0 0:0:0"),
    *(
        b"gzip",
        b"deflate",
        b"br",
        b"zstd",
        b"gzip, gzip",
        b"identity",
        b"chunked",
        b"chunked, gzip",
    ),
    *(b"close", b"keep-alive", b"Upgrade", b"noai", b"p\xe1gina, noindex", b"\xff\xfe\x00", b"/"),
    *(b"http://", b"http://[::1", b"http://\xe9\xe9/", b"//", b"///a", b"http://a:b:c/", b"?\x01"),
    *(
        b"http://" + b"x" * 70 + b".invalid/",
        b"file:///etc/passwd",
        b"javascript:1",
        b"\xed\xa0\x80",
    ),
    *(b"http://user:password@127.0.0.1:1/", b"http://127.0.0.1:99999/", b"%%%", b"http://%00/"),
    *(b"a=b; Expires=Fri, 31 Dec 99999999999 23:59:59 GMT", b'a="\xff', b"image/png; charset=\xff"),
)


def _noise(rng: random.Random, most: int) -> bytes:
    return rng.randbytes(rng.randrange(most))


def _status_line(rng: random.Random) -> bytes:
    if rng.random() < 0.03:
        return _noise(rng, 60)
    odd = (b"HTTP/1.0", b"HTTP/2", b"HTTP/9.9", b"http/1.1")
    version = b"HTTP/1.1" if rng.random() < 0.9 else rng.choice(odd)
    known = (
        200,
        200,
        200,
        206,
        204,
        304,
        100,
        101,
        199,
        300,
        301,
        302,
        307,
        308,
        403,
        404,
        429,
        503,
    )
    code = rng.choice((*known, rng.randrange(100, 1000), rng.randrange(10**4)))
    noise = _noise(rng, 40) if rng.random() < 0.2 else b"\xff\xfe Nope"
    reason = rng.choice((b"OK", b"P\xe1gina n\xe3o encontrada", b"", b"\x85\xa0", noise))
    return version + b" %d " % code + reason


def _header(rng: random.Random) -> bytes:
    name = rng.choice(_NAMES) if rng.random() < 0.97 else _noise(rng, 20)
    value = rng.choice(_VALUES) if rng.random() < 0.95 else _noise(rng, 80)
    return name + (b": " if rng.random() < 0.95 else rng.choice((b":", b" : ", b" "))) + value


def _body(rng: random.Random) -> bytes:
    body = rng.choice((PNG, PNG, PNG[:40], b"", b"<html>", _noise(rng, 3000), bytes(300_000)))
    packed: tuple[Callable[[bytes], bytes], ...] = (bytes, bytes, gzip.compress, zlib.compress)
    body = rng.choice(packed)(body)
    if rng.random() < 0.3:
        size = rng.choice(
            (b"%x" % len(body), b"%x" % len(body), b"ffffffffffffffffff", b"-5", b"\xff")
        )
        body = (
            size + b"\r\n" + body + b"\r\n" + rng.choice((b"0\r\n\r\n", b"0\r\n\xff: x\r\n", b""))
        )
    return body


def _answer(rng: random.Random) -> bytes:
    body = _body(rng)
    n_headers = 200 if rng.random() < 0.01 else rng.choice((0, 1, 1, 1, 2, 4))
    headers = [_header(rng) for _ in range(n_headers)]
    if rng.random() < 0.2:
        headers.append(rng.choice(_NAMES[:2]) + b": " + rng.choice(_VALUES))
    if rng.random() < 0.7:
        headers.append(b"Content-Length: %d" % len(body))
    answer = b"\r\n".join((_status_line(rng), *headers, b"", body))
    for _ in range(rng.choice((0, 0, 0, 0, 0, 0, 1, 3))):  # what is almost right leads further
        at = rng.randrange(len(answer) + 1)
        answer = answer[:at] + _noise(rng, 4) + answer[at + rng.randrange(4) :]
    if rng.random() < 0.1:
        return rng.choice((answer[: len(answer) // 2], _noise(rng, 500)))
    return answer


async def _reply(seed: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        while request := await reader.readuntil(b"\r\n\r\n"):
            path = request.split(b" ")[1]
            rng = random.Random(seed + path.decode("latin-1"))
            if path.startswith(b"/good"):
                head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(PNG)
                writer.write(head + PNG)
            elif await _misbehave(rng, writer):
                break
            await writer.drain()
    writer.close()


async def _misbehave(rng: random.Random, writer: asyncio.StreamWriter) -> bool:
    """Send an answer in its own time; whether nothing follows on this connection."""
    kind = rng.random()
    if kind < 0.03:  # says nothing, for longer than anyone waits
        await asyncio.sleep(rng.choice((0.1, 3)))
        return True
    if kind < 0.06:  # as a server that crashes
        sock = writer.get_extra_info("socket")
        sock.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER: closing sends a reset
        return True
    answer = _answer(rng)
    if kind < 0.08:  # headers without end
        writer.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(rng.choice((10, 3000))):
            writer.write(b"X-More-%d: more and more of it\r\n" % number)
            await writer.drain()
    pieces = rng.choice((1, 1, 1, 2, 5))
    for number in range(pieces):
        writer.write(answer[number * len(answer) // pieces : (number + 1) * len(answer) // pieces])
        await writer.drain()
        await asyncio.sleep(rng.choice((0, 0, 0.02)) if pieces > 1 else 0)
    return rng.random() < 0.7


async def serve(seed: str) -> None:
    """Serve for ever; prints the port first."""
    server = await asyncio.start_server(partial(_reply, seed), "0.0.0.0", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
