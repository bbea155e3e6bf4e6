import asyncio
import gzip
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import aiohttp
import brotli
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from backports import zstd

from memtriggers.pipelines.core.study import Fetch, Study
from memtriggers.pipelines.images.decode import Refused, image_limits, store_image
from memtriggers.pipelines.images.network import finds_names
from memtriggers.pipelines.images.public import PublicResolver
from memtriggers.pipelines.images.rows import Later, Row
from memtriggers.pipelines.images.web import WebSource, open_web
from memtriggers.tests.raw_server import Request, answer, serving_raw
from memtriggers.tests.web_server import Answer, Routes

WITH_NETWORK = pytest.mark.skipif(not finds_names(), reason="this machine has no network")
SETTINGS = Fetch(timeout=2.0, max_bytes=100_000, connections=4, allow_private_hosts=True)


async def download(urls: Sequence[str | None], settings: Fetch) -> list[bytes | str]:
    """The bytes of each address, or the status for which it was refused."""
    async with open_web(settings) as web:
        return await download_from(web, urls)


async def download_from(web: WebSource, urls: Sequence[str | None]) -> list[bytes | str]:
    async def one(number: int, url: str | None) -> bytes | str:
        try:
            return await web.read(Row(f"{number}", url, "", 0))
        except Later as later:  # as `fetch` does, which does something else meanwhile
            await asyncio.sleep(later.wait)
            return await one(number, url)
        except Refused as refused:
            assert isinstance(refused.reason, str)
            return refused.status

    return await asyncio.gather(*(one(number, url) for number, url in enumerate(urls)))


def get(*urls: str | None, settings: Fetch = SETTINGS) -> list[bytes | str]:
    return asyncio.run(download(list(urls), settings))


def get_from_outside(urls: list[str], settings: Fetch) -> list[bytes | str]:
    """The same where `public.example` is a name of this machine."""

    async def all_of_them() -> list[bytes | str]:
        connector = aiohttp.TCPConnector(resolver=OneHost())
        async with aiohttp.ClientSession(connector=connector) as session:
            return await download_from(WebSource(session, settings), urls)

    return asyncio.run(all_of_them())


class OneHost(AbstractResolver):
    """Knows where `public.example` is: here. So this machine serves as if it were out there."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if host != "public.example":
            raise OSError(f"{host}: unknown")
        return [
            ResolveResult(
                hostname=host, host="127.0.0.1", port=port, family=family, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        """Nothing to close."""


def test_a_study_with_addresses_fetches_them(
    serve: Callable[[Routes], str],
    draw: Callable[..., bytes],
    make_study: Callable[..., Study],
    write_samples: Callable[..., list[str]],
    run_stages: Callable[..., None],
    read_images: Callable[[], dict[str, dict[str, Any]]],
) -> None:
    image = draw(0)
    html = b"<!DOCTYPE html><title>This image is gone</title>"
    base = serve(
        {
            "/a.png": (200, {"Content-Type": "text/plain"}, image),
            "/gone.png": (410, {}, b""),
            "/page.png": (200, {"Content-Type": "image/png"}, html),
            "/moved.png": (302, {"Location": "/a.png"}, b""),
            "/cut.png": (200, {}, image[:-60]),
        }
    )
    paths = ["a.png", "missing.png", "gone.png", "page.png", "moved.png", "cut.png"]
    ids = write_samples(*({"url": f"{base}/{path}"} for path in paths), {"url": "ftp://a.example/"})
    study = make_study(sections="[fetch]\nallow_private_hosts = true")
    run_stages(study, "fetch")
    rows = read_images()
    assert [rows[i]["status"] for i in ids] == [
        *("ok", "http_404", "http_410", "not_an_image", "ok", "truncated", "invalid_url")
    ]
    assert rows[ids[0]]["image"] == rows[ids[4]]["image"] == image

    run_stages(make_study(), "fetch")
    assert [read_images()[i]["status"] for i in ids] == [
        *("ok", "private_address", "private_address", "private_address", "ok"),
        *("private_address", "invalid_url"),
    ]


def test_private_addresses_are_refused_unless_allowed(serve: Callable[[Routes], str]) -> None:
    base = serve({"/": (200, {}, b"secret")})
    port = base.rpartition(":")[2]
    urls = [base, f"http://localhost:{port}/", f"http://[::ffff:127.0.0.1]:{port}/"]
    assert get(*urls[:2]) == [b"secret", b"secret"]
    assert get(*urls, settings=Fetch()) == ["private_address"] * 3


def test_numbers_that_only_a_socket_takes_for_an_address() -> None:
    settings = Fetch(timeout=2.0)
    urls = ["http://2130706433/", "http://127.1/", "http://0x7f.1/", "http://0177.0.0.1/"]
    statuses = get(*urls, settings=settings)
    assert set(statuses) <= {"invalid_url", "private_address", "dns"}


def test_every_step_of_a_redirect_is_checked(serve: Callable[[Routes], str]) -> None:
    routes: Routes = {"/image": (200, {}, b"image")}
    port = serve(routes).rpartition(":")[2]
    targets = {
        "/here": f"http://127.0.0.1:{port}/image",
        "/metadata": "http://169.254.169.254/latest/meta-data/",
        "/file": "file:///etc/passwd",
        "/name": f"http://public.example:{port}/image",
        "/relative": "image",
    }
    routes |= {path: (302, {"Location": target}, b"") for path, target in targets.items()}

    urls = [f"http://public.example:{port}{path}" for path in targets]
    assert get_from_outside(urls, Fetch(timeout=2.0)) == [
        *("private_address", "private_address", "invalid_url", b"image", b"image")
    ]
    assert get_from_outside(urls[:1], SETTINGS) == [b"image"]


def test_a_name_with_a_private_address_is_refused_where_it_is_resolved() -> None:
    async def resolve() -> None:
        await PublicResolver(OneHost()).resolve("public.example")

    with pytest.raises(Refused) as refused:
        asyncio.run(resolve())
    assert refused.value.status == "private_address"


def test_every_answer_has_its_status_and_nothing_inside_is_asked(
    serve: Callable[[Routes], str], draw: Callable[..., bytes], png_bomb: bytes
) -> None:
    image = draw(0)
    inside: Routes = {"/secret": [(200, {}, b"secret"), (500, {}, b"asked twice")]}
    inside_url = serve(inside) + "/secret"
    robots = {"X-Robots-Tag": "noai"}
    answers: dict[str, tuple[Answer | list[Answer], str]] = {
        "/good": ((200, {}, image), "ok"),
        "/404": ((404, {}, b""), "http_404"),
        "/500": ([(500, {}, b""), (200, {}, image)], "ok"),
        "/429": ([(429, {"Retry-After": "1"}, b""), (200, {}, image)], "ok"),
        "/429-for-long": ([(429, {"Retry-After": "9"}, b""), (200, {}, image)], "http_429"),
        "/hang": ((200, {}, b""), "timeout"),
        "/reset": ((200, {"X-Reset": "1", "Content-Length": "999"}, image[:50]), "connection"),
        "/reset-once": (
            [(200, {"X-Reset": "1", "Content-Length": "999"}, image[:50]), (200, {}, image)],
            "ok",
        ),
        "/to-loopback": ((302, {"Location": inside_url}, b""), "private_address"),
        "/to-metadata": ((302, {"Location": "http://169.254.169.254/"}, b""), "private_address"),
        "/5-gb": ((200, {"Content-Length": str(5 * 10**9)}, b"starts"), "too_large"),
        "/bomb": ((200, {}, png_bomb), "too_many_pixels"),
        "/html": ((200, {"Content-Type": "image/png"}, b"<!DOCTYPE html>"), "not_an_image"),
        "/noai": ((200, robots, image), "opted_out"),
    }
    port = serve({path: answer for path, (answer, _) in answers.items()}).rpartition(":")[2]
    urls = [f"http://public.example:{port}{path}" for path in answers]
    settings = Fetch(timeout=6.0, max_bytes=10**8)
    fetched = get_from_outside(urls, settings)
    with image_limits(settings.max_pixels):
        statuses = [store(data, settings) for data in fetched]
    assert dict(zip(answers, statuses, strict=True)) == {
        path: status for path, (_, status) in answers.items()
    }
    assert len(inside["/secret"]) == 2, "nobody asked for it"


def store(data: bytes | str, settings: Fetch) -> str:
    """The status with which a download ends as a row."""
    if isinstance(data, str):
        return data
    try:
        store_image(data, settings)
    except Refused as refused:
        return refused.status
    return "ok"


def test_what_cannot_pass_is_asked_once_and_what_can_a_few_times(
    serve: Callable[[Routes], str],
) -> None:
    image: Answer = (200, {}, b"image")
    routes: Routes = {
        "/404": [(404, {}, b""), image],
        "/410": [(410, {}, b""), image],
        "/503": [(503, {"Retry-After": "0"}, b"")] * 2 + [image],
        "/502": [(502, {"Retry-After": "0"}, b"")] * 3 + [image],
    }
    base = serve(routes)
    assert get(*(base + path for path in routes)) == ["http_404", "http_410", b"image", "http_502"]
    assert get(base + "/502", settings=replace(SETTINGS, retries=0)) == [b"image"]


def test_each_way_to_opt_out_is_heeded_unless_the_study_says_no(
    serve: Callable[[Routes], str],
) -> None:
    signals = {
        "opted_out": {"X-Robots-Tag": "noml"},
        "opted_out_tdm": {"tdm-reservation": "1"},
        "opted_out_content_usage": {"Content-Usage": "train-ai=n"},
    }
    base = serve({f"/{status}": (200, headers, b"image") for status, headers in signals.items()})
    urls = [f"{base}/{status}" for status in signals]
    assert get(*urls) == list(signals)
    for number, key in enumerate(("opt_out", "tdm_reservation", "content_usage")):
        expected: list[str | bytes] = list(signals)
        expected[number] = b"image"
        assert get(*urls, settings=replace(SETTINGS, **{key: False})) == expected


def test_the_time_of_a_row_is_that_of_its_redirects_together() -> None:
    """Six steps, each of which takes less than a request may."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(0.3)
            step = int(self.path.strip("/"))
            self.send_response(302 if step else 204)
            self.send_header("Location", f"/{step - 1}")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/5"
        assert get(url, settings=replace(SETTINGS, timeout=1.5)) == [b""]
        assert get(url, settings=replace(SETTINGS, timeout=1.5, row_timeout=1.0)) == ["timeout"]
        server.shutdown()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes the certificate")
def test_https_is_not_followed_down_to_http(serve: Callable[[Routes], str], tmp_path: Path) -> None:
    plain = serve({"/image": (200, {}, b"image")})
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=localhost",
            *("-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)

    def reply(request: Request) -> bytes:
        if request.target == "/image":
            return answer(b"image")
        where = "/image" if request.target == "/safe" else f"{plain}/image"
        return answer(status="302 Found", Location=where)

    async def read(port: int, settings: Fetch) -> list[bytes | str]:
        connector = aiohttp.TCPConnector(ssl=False)  # nobody vouches for the certificate
        async with aiohttp.ClientSession(connector=connector) as session:
            urls = [f"https://127.0.0.1:{port}/{path}" for path in ("safe", "down")]
            return await download_from(WebSource(session, settings), urls)

    with serving_raw(reply, tls) as port:
        assert asyncio.run(read(port, SETTINGS)) == [b"image", "insecure_redirect"]
        allowed = replace(SETTINGS, insecure_redirects=True)
        assert asyncio.run(read(port, allowed)) == [b"image", b"image"]


def test_cookies_live_within_one_chain_of_redirects() -> None:
    """A server that lets nobody in without the cookie that it gave on the way."""

    def reply(request: Request) -> bytes:
        if request.target == "/image":
            return answer(b"image" if request.headers.get("cookie") == "seen=1" else b"no cookie")
        return answer(status="302 Found", Location="/image", Set_Cookie="seen=1; Path=/")

    with serving_raw(reply) as port:
        base = f"http://127.0.0.1:{port}"
        urls = [f"{base}/door", f"{base}/image", f"{base}/door"]

        async def one_after_the_other() -> list[bytes | str]:
            async with open_web(SETTINGS) as web:
                return [(await download_from(web, [url]))[0] for url in urls]

        assert asyncio.run(one_after_the_other()) == [b"image", b"no cookie", b"image"]


def test_a_cookie_goes_to_no_other_host() -> None:
    sent: list[str | None] = []

    def reply(request: Request) -> bytes:
        sent.append(request.headers.get("cookie"))
        port = request.headers["host"].partition(":")[2]
        if request.target == "/door":
            location = f"http://127.0.0.2:{port}/image"
            return answer(status="302 Found", Location=location, Set_Cookie="secret=1")
        return answer(b"image")

    with serving_raw(reply) as port:
        assert get(f"http://127.0.0.1:{port}/door") == [b"image"]
    assert sent == [None, None]


def test_what_is_compressed_though_nobody_asked_is_read(serve: Callable[[Routes], str]) -> None:
    image, much = bytes(range(256)) * 100, bytes(50_000_000)
    packed = {"gzip": gzip.compress, "br": brotli.compress, "zstd": zstd.compress}
    answers: dict[str, Answer] = {}
    for name, compress in packed.items():
        answers[f"/{name}"] = (200, {"Content-Encoding": name}, compress(image))
        answers[f"/{name}-bomb"] = (200, {"Content-Encoding": name}, compress(much))
        answers[f"/{name}-false"] = (200, {"Content-Encoding": name}, image)
    base = serve(dict(answers))
    found = dict(zip(answers, get(*(base + path for path in answers)), strict=True))
    for name in packed:
        assert found[f"/{name}"] == image
        assert found[f"/{name}-bomb"] == "too_large"
        assert found[f"/{name}-false"] == "content_encoding"


def test_a_host_has_few_connections_at_a_time_and_waiting_is_no_timeout() -> None:
    at_once, most = 0, 0

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            time.sleep(0.5)
            at_once -= 1
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        settings = replace(SETTINGS, timeout=3.0, connections=64, connections_per_host=2)
        url = f"http://127.0.0.1:{server.server_port}/"
        assert get(*[url] * 16, settings=settings) == [b""] * 16
        server.shutdown()
    assert most == 2


def test_redirects_come_to_an_end(serve: Callable[[Routes], str]) -> None:
    routes: Routes = {"/0": (200, {}, b"image"), "/loop": (301, {"Location": "/loop"}, b"")}
    routes |= {f"/{n}": (307, {"Location": f"/{n - 1}"}, b"") for n in range(1, 7)}
    base = serve(routes)
    urls = [f"{base}/5", f"{base}/6", f"{base}/loop"]
    assert get(*urls) == [b"image", "too_many_redirects", "too_many_redirects"]


def test_sizes_are_limited_whatever_the_server_says(serve: Callable[[Routes], str]) -> None:
    base = serve(
        {
            "/fits": (200, {}, bytes(100_000)),
            "/announced": (200, {"Content-Length": str(5 * 2**30)}, b"only the beginning"),
            "/unannounced": (200, {"Content-Length": ""}, bytes(2_000_000)),
            "/bomb": (200, {"Content-Encoding": "gzip"}, gzip.compress(bytes(50_000_000))),
        }
    )
    urls = [f"{base}/{path}" for path in ("fits", "announced", "unannounced", "bomb")]
    assert get(*urls) == [bytes(100_000), "too_large", "too_large", "too_large"]


def test_a_hang_and_a_hang_up(serve: Callable[[Routes], str]) -> None:
    base = serve({"/half": (200, {"Content-Length": "1000"}, b"half")})
    settings = Fetch(timeout=3.0, retries=1, allow_private_hosts=True)
    assert get(f"{base}/hang", f"{base}/half", settings=settings) == ["timeout", "connection"]


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert get(f"http://127.0.0.1:{port}/") == ["connection"]


@WITH_NETWORK
def test_what_is_no_address() -> None:
    urls = [None, "", "  ", "a.png", "ftp://a.example/a.png", "http://", "http:///a.png"]
    urls += ["http://a.example:99999/", "javascript:alert(1)", "http://" + "a" * 70 + ".example/"]
    urls += ["http://[::1/", "http://exa mple.com/\x00", "data:image/png;base64,AAAA"]
    assert set(get(*urls)) <= {"invalid_url", "dns"}


@WITH_NETWORK
def test_names_that_nobody_knows() -> None:
    assert get("http://nothing.invalid/a.png") == ["dns"]
