"""robots.txt: asked for once a host, kept in the lake, heeded where the study says so."""

import asyncio
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Fetch, Study
from memtriggers.pipelines.images.rows import Refused, Row
from memtriggers.pipelines.images.web import open_web
from memtriggers.tests.raw_server import Request, answer, serving_raw

SETTINGS = Fetch(allow_private_hosts=True, robots_txt=True, timeout=5.0, retries=0)
RULES = b"User-agent: *\nDisallow: /private/\nAllow: /private/but\nDisallow: /*.gif$\n"


def read(urls: list[str], settings: Fetch = SETTINGS, kept: Path | None = None) -> list[str]:
    """The status with which each address ends."""

    async def ask() -> list[str]:
        async with open_web(settings, kept) as web:

            async def one(url: str) -> str:
                try:
                    return (await web.read(Row(url, url, "", 0))).decode()
                except Refused as refused:
                    return refused.status

            return await asyncio.gather(*map(one, urls))

    return asyncio.run(ask())


def test_a_thousand_addresses_ask_for_it_once_a_host(tmp_path: Path) -> None:
    asked = Counter[str]()

    def reply(request: Request) -> bytes:
        asked[request.headers["host"] + request.target] += 1
        return answer(RULES if request.target == "/robots.txt" else b"image")

    with serving_raw(reply) as port:
        urls = [f"http://127.0.0.{1 + n % 10}:{port}/{n}" for n in range(1_000)]
        urls += [f"http://127.0.0.{host}:{port}/private/{n}" for host in (1, 2) for n in range(5)]
        assert (
            read(urls, kept=tmp_path / "robots")
            == ["image"] * 1_000 + ["opted_out_robots_txt"] * 10
        )
        robots = {place: n for place, n in asked.items() if place.endswith("/robots.txt")}
        assert robots == {f"127.0.0.{host}:{port}/robots.txt": 1 for host in range(1, 11)}
        assert not any("/private/" in place for place in asked)

        asked.clear()  # the next run remembers what they said
        assert read(urls[-2:], kept=tmp_path / "robots") == ["opted_out_robots_txt"] * 2
        assert not asked
        with sqlite3.connect(tmp_path / "robots") as connection:
            connection.execute("update hosts set asked_at = ?", (time.time() - 25 * 60 * 60,))
        connection.close()
        assert read(urls[-2:], kept=tmp_path / "robots") == ["opted_out_robots_txt"] * 2
        assert asked.total() == 1, "after a day it is asked again"


@pytest.mark.parametrize(
    ("said", "statuses"),
    [
        (answer(RULES), ["image", "opted_out_robots_txt", "image", "opted_out_robots_txt"]),
        (
            answer(b"\xef\xbb\xbf" + RULES),
            ["image", "opted_out_robots_txt", "image", "opted_out_robots_txt"],
        ),
        (
            answer(b"User-agent: memtriggers\nDisallow: /\n\nUser-agent: *\nAllow: /"),
            ["opted_out_robots_txt"] * 4,
        ),
        (answer(b"User-agent: other\nDisallow: /"), ["image"] * 4),
        (
            answer(b"User-agent: *\nDisallow: /", X_Robots_Tag="noindex"),
            ["opted_out_robots_txt"] * 4,
        ),
        (answer(status="404 Not Found"), ["image"] * 4),
        (answer(status="403 Forbidden"), ["image"] * 4),
        (answer(status="503 Busy"), ["robots_txt_unreachable"] * 4),
        (answer(status="429 Too Many", Retry_After="1"), ["robots_txt_unreachable"] * 4),
        (answer(status="302 Found", Location="/robots.txt"), ["robots_txt_unreachable"] * 4),
        (answer(status="302 Found", Location="/elsewhere"), ["opted_out_robots_txt"] * 4),
        (answer(b"<html>\xff\xfe nothing here"), ["image"] * 4),
        (
            answer(b"\0" * 600_000 + b"\nUser-agent: *\nDisallow: /"),
            ["image"] * 4,
        ),  # too far behind
    ],
)
def test_what_hosts_say(said: bytes, statuses: list[str]) -> None:
    asked = Counter[str]()

    def reply(request: Request) -> bytes:
        asked[request.target] += 1
        if request.target == "/robots.txt":
            return said
        if request.target == "/elsewhere":
            return answer(b"User-agent: *\nDisallow: /")
        return answer(b"image")

    with serving_raw(reply) as port:
        base = f"http://127.0.0.1:{port}"
        urls = [f"{base}/{path}" for path in ("a.png", "private/a", "private/but", "a.gif")]
        assert read(urls) == statuses
        assert asked["/robots.txt"] <= 6  # once, with its redirects
        off = replace(SETTINGS, robots_txt=False)
        assert read(urls, off) == ["image"] * 4


def test_each_step_of_a_redirect_is_asked_about() -> None:
    asked = Counter[str]()

    def reply(request: Request) -> bytes:
        host, port = request.headers["host"].split(":")
        asked[host + request.target] += 1
        if request.target == "/robots.txt":
            return answer(RULES)
        if request.target.startswith("/to/"):
            place = request.target.removeprefix("/to/")
            return answer(status="302 Found", Location=f"http://127.0.0.2:{port}/{place}")
        return answer(b"image")

    with serving_raw(reply) as port:
        base = f"http://127.0.0.1:{port}/to"
        assert read([f"{base}/a", f"{base}/private/b", f"{base}/to/private/c"]) == [
            *("image", "opted_out_robots_txt", "opted_out_robots_txt")
        ]
    assert asked["127.0.0.1/robots.txt"] == asked["127.0.0.2/robots.txt"] == 1
    assert not any("2/private/" in place for place in asked)


def test_a_host_that_does_not_answer_is_asked_once_a_run() -> None:
    asked = Counter[str]()

    def reply(request: Request) -> bytes:
        asked[request.target] += 1
        if request.target == "/robots.txt":
            return b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"  # and nothing more
        return answer(b"image")

    with serving_raw(reply) as port:
        urls = [f"http://127.0.0.1:{port}/{n}" for n in range(20)]
        assert read(urls, replace(SETTINGS, timeout=1.0)) == ["robots_txt_unreachable"] * 20
    assert asked == {"/robots.txt": 1}


def test_a_study_asks_only_where_it_says_so(
    draw: Callable[..., bytes],
    make_study: Callable[..., Study],
    write_samples: Callable[..., list[str]],
    run_stages: Callable[..., None],
    read_images: Callable[[], dict[str, dict[str, Any]]],
    lake: Lake,
) -> None:
    image, asked = draw(0), Counter[str]()

    def reply(request: Request) -> bytes:
        asked[request.target] += 1
        assert request.headers["user-agent"].endswith(" (+https://lab.example/us)")
        return answer(RULES if request.target == "/robots.txt" else image)

    with serving_raw(reply) as port:
        ids = write_samples(
            *({"url": f"http://127.0.0.1:{port}/{path}"} for path in ("a", "private/b"))
        )
        section = '[fetch]\nallow_private_hosts = true\ncontact = "https://lab.example/us"\n'
        run_stages(make_study(sections=section + "robots_txt = true"), "fetch")
        rows = read_images()
        assert [rows[i]["status"] for i in ids] == ["ok", "opted_out_robots_txt"]
        assert "robots.txt disallows it for memtriggers" in rows[ids[1]]["status_reason"]
        assert lake.robots.exists()
        lake.robots.write_bytes(b"no database at all, but something else" * 100)

        run_stages(make_study(sections=section), "fetch")  # what it left out is asked for now
        assert [read_images()[i]["status"] for i in ids] == ["ok", "ok"]
        assert asked == {"/robots.txt": 1, "/a": 1, "/private/b": 1}

        ids = write_samples(
            *({"url": f"http://127.0.0.1:{port}/{path}"} for path in ("c", "private/d"))
        )
        run_stages(make_study(sections=section + "robots_txt = true"), "fetch")
        assert [read_images()[i]["status"] for i in ids] == ["ok", "opted_out_robots_txt"]
        assert asked["/robots.txt"] == 2  # what was kept was damaged
