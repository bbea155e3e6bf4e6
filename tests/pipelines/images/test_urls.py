"""Addresses arrive at their server as the source writes them."""

import asyncio
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import aiohttp
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st

from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Fetch, Study
from memtriggers.pipelines.images.rows import Refused, Row
from memtriggers.pipelines.images.urls import address_of, host_of, redirected
from memtriggers.pipelines.images.web import WebSource
from memtriggers.tests.raw_server import Request, answer, serving_raw

CASES = Path(__file__).parents[2] / "cases"
SIGNED: list[str] = json.loads((CASES / "signed_addresses.json").read_text())
LAION = Path(__file__).parents[4] / "shared/data/img2dataset-laion-sample/test_10000.parquet"


class Here(AbstractResolver):
    """Every host is this machine."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host="127.0.0.1", port=port, family=family, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        """Nothing to close."""


def targets_of(urls: list[str], port: int) -> None:
    """Ask for each address, whatever its host, at a port of this machine."""

    async def ask() -> None:
        connector = aiohttp.TCPConnector(resolver=Here(), limit=64)
        settings = Fetch(connections=64)
        async with aiohttp.ClientSession(connector=connector) as session:
            web = WebSource(session, settings)
            waiting = iter(urls)

            async def work() -> None:
                for url in waiting:
                    await web.read(Row(url, url, "", 0))

            await asyncio.gather(*(work() for _ in range(64)))

    asyncio.run(ask())


def at_port(url: str, port: int) -> str:
    """An address of http, at another port and of a host with a name; its target as it was."""
    scheme, rest = url.split("://", 1)
    assert scheme.lower() in ("http", "https")
    ends = [place for mark in "/?#" if (place := rest.find(mark)) >= 0]
    end = min(ends, default=len(rest))
    host = rest[:end].split(":")[0]
    host = "host.example" if host.replace(".", "").isdigit() else host
    return f"http://{host}:{port}{rest[end:]}"


def target_of(url: str) -> str:
    """What a browser asks for: what stands behind the host, and nothing of the fragment."""
    rest = url.split("://", 1)[1]
    ends = [place for mark in "/?#" if (place := rest.find(mark)) >= 0]
    target = rest[min(ends, default=len(rest)) :].partition("#")[0]
    return target if target.startswith("/") else f"/{target}"


@pytest.mark.skipif(not LAION.exists(), reason="the sample of LAION is not there")
def test_ten_thousand_real_addresses_arrive_byte_for_byte() -> None:
    urls = [url for url in pq.read_table(LAION)["URL"].to_pylist() if "://" in url]
    assert len(urls) > 9_990
    asked: list[str] = []

    def reply(request: Request) -> bytes:
        asked.append(request.target)
        return answer(b"image")

    with serving_raw(reply) as port:
        targets_of([at_port(url, port) for url in urls], port)
    whole = [url for url in urls if url.isascii() and " " not in url]
    assert len(whole) > 9_990
    left = list(asked)
    for url in whole:
        left.remove(target_of(url))
    # Those that cannot stand in a request are escaped where that must be, and there alone.
    odd = sorted(target_of(url) for url in urls if url not in whole)
    assert sorted(map(unquote_to_bytes, left)) == sorted(map(unquote_to_bytes, odd))
    assert all(target.isascii() and " " not in target for target in left)


def test_eight_signed_addresses_bring_eight_images(
    tmp_path: Path,
    draw: Callable[..., bytes],
    make_study: Callable[..., Study],
    run_stages: Callable[..., None],
    read_images: Callable[[], dict[str, dict[str, Any]]],
    lake: Lake,
) -> None:
    image = draw(0)

    def reply(request: Request) -> bytes:
        if request.target.startswith("/to"):
            return answer(status="302 Found", Location=request.target.removeprefix("/to"))
        return answer(image) if request.target in SIGNED else answer(status="403 Forbidden")

    with serving_raw(reply) as port:
        rows = pq.read_table(CASES / "signed_urls.parquet")
        urls = [url.replace(":8099", f":{port}") for url in rows["url"].to_pylist()]
        urls += [f"  http://127.0.0.1:{port}/to{path}\t" for path in SIGNED]
        captions = [f"signed {number}" for number in range(len(urls))]
        pq.write_table(pa.table({"url": urls, "caption": captions}), tmp_path / "rows.parquet")
        study = make_study(sections="[fetch]\nallow_private_hosts = true")
        run_stages(study, "filter", "fetch")
    assert [row["status"] for row in read_images().values()] == ["ok"] * 16
    kept = pq.read_table(lake.samples, columns=["url"])["url"].to_pylist()
    assert sorted(kept) == sorted(urls)  # as they are, spaces and all


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://h.example/a%2Fb%41?x=%27&y=a+b", "/a%2Fb%41?x=%27&y=a+b"),
        ("http://h.example/%zz/%", "/%zz/%"),
        ("http://h.example/a/../b/./c//d", "/a/../b/./c//d"),
        ("http://h.example//a", "//a"),
        ("http://h.example", "/"),
        ("http://h.example?x=1", "/?x=1"),
        ("http://h.example/a#b", "/a"),
        ("HTTP://H.Example:80/A", "/A"),
        (" \t\nhttp://h.example/a b\n", "/a%20b"),
        ("http://h.example/a\nb\tc", "/abc"),
        ("http://h.example/ä?q=é&x=%2F", "/%C3%A4?q=%C3%A9&x=%2F"),
        ("http://h.example/{a}|\"<>^`\\'", "/{a}|\"<>^`\\'"),
        ("http://h.example/a;b=1,2&amp;c=(3)!*$", "/a;b=1,2&amp;c=(3)!*$"),
    ],
)
def test_what_is_asked_for(url: str, target: str) -> None:
    assert address_of(url).raw_path_qs == target


def test_hosts_are_looked_up_and_not_asked_for() -> None:
    assert address_of("http://häh.example/%C3").raw_host == "xn--hh-via.example"
    assert address_of("http://u:p@H.example:8080/").host == "h.example"
    assert [
        host_of(url) for url in (None, " ", "a.png", "ftp://h/", "http://[::1", "http://é.ö/")
    ] == [*(None, None, None, None, None, "é.ö")]


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/s?x=%2F%27", "http://h.example/s?x=%2F%27"),
        ("b%2Ec", "http://h.example/a%2Fb/b%2Ec"),
        ("?y=%40", "http://h.example/a%2Fb/c?y=%40"),
        ("//o.example/%2E%2e", "http://o.example/%2E%2e"),
        ("https://o.example/a/../%7E", "https://o.example/a/../%7E"),
        (" /a b\udcff ", "http://h.example/a%20b%FF"),
    ],
)
def test_where_a_redirect_leads(location: str, url: str) -> None:
    assert str(redirected(address_of("http://h.example/a%2Fb/c?x=1"), location)) == url


@pytest.mark.parametrize("url", ["http://[]@/x.jpg", "http://@:[]/x.jpg", "//[]@/x"])
def test_brackets_without_a_host_are_no_address(url: str) -> None:
    with pytest.raises((Refused, ValueError)):
        address_of(url)
    with pytest.raises((Refused, ValueError)):
        redirected(address_of("http://h.example/"), url)
    assert host_of(url) is None


BRACKETS = st.text(st.sampled_from([*"[]@:/?#%.\\a1 é"]), max_size=12)


@given(st.text(max_size=40) | BRACKETS, st.text(max_size=40))
def test_any_text_is_an_address_or_refused(url: str, location: str) -> None:
    for text in (url, f"http://h.example/{url}", f"http://{url}"):
        try:
            found = address_of(text)
        except (Refused, ValueError):
            continue
        assert found.raw_path_qs.isascii() and " " not in found.raw_path_qs
        assert "\n" not in str(found) and "\r" not in str(found)
        try:
            redirected(found, location)
        except (Refused, ValueError):
            continue
