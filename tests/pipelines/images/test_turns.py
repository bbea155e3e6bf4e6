"""Hosts that are slow, or ask for time, hold up no other."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memtriggers.pipelines.core.database import connect, define_addresses, query
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Fetch, Study
from memtriggers.pipelines.images.fetched import for_each
from memtriggers.pipelines.images.rows import Later, Refused, Row
from memtriggers.pipelines.images.turns import Turns
from memtriggers.pipelines.images.web import open_web
from memtriggers.tests.raw_server import Request, answer, serving_raw

Item = tuple[str, int]


def work_on(items: list[Item], work: Callable[[Item], Any], n_workers: int, per_host: int) -> None:
    """Work on items as `fetch` does on rows; `work` returns what to wait for."""
    turns = Turns(iter(items), lambda item: item[0] or None, per_host)

    async def one() -> None:
        while (turn := await turns.take()) is not None:
            try:
                await work(turn.item)
            except Later as later:
                turns.again(turn, later.wait, is_of_host=later.is_of_host)
            else:
                turns.done(turn)

    async def every() -> None:
        await asyncio.gather(*(one() for _ in range(n_workers)))

    asyncio.run(every())


def test_a_slow_host_holds_up_no_other() -> None:
    free, done, busy, most = asyncio.Event(), list[Item](), Counter[str](), Counter[str]()

    async def work(item: Item) -> None:
        busy[item[0]] += 1
        most[item[0]] = max(most[item[0]], busy[item[0]])
        if item[0] == "slow":
            await free.wait()
        await asyncio.sleep(0)
        done.append(item)
        busy[item[0]] -= 1
        if len(done) == 1_000:  # of the others: only now
            free.set()

    items = [("slow", n) for n in range(3_000)] + [(f"host {n % 7}", n) for n in range(1_000)]
    work_on(items, work, n_workers=8, per_host=2)
    assert {host for host, _ in done[:1_000]} == {f"host {n}" for n in range(7)}
    assert sorted(done) == sorted(items)
    assert most["slow"] == 2
    assert max(most.values()) == 2


def test_a_host_that_asks_for_time_gets_it_and_every_item_comes_again() -> None:
    began, tries, done = time.monotonic(), Counter[Item](), list[tuple[Item, float]]()

    async def work(item: Item) -> None:
        await asyncio.sleep(0)
        tries[item] += 1
        if item == ("busy", 0) and tries[item] < 3:
            raise Later("http_429", "", 0.2, is_of_host=True)
        if item == ("other", 0) and tries[item] == 1:
            raise Later("connection", "", 0.2, is_of_host=False)
        done.append((item, time.monotonic() - began))

    items = [(host, n) for n in range(10) for host in ("busy", "other")] + [("", 99)]
    work_on(items, work, n_workers=3, per_host=1)
    at = dict(done)
    assert sorted(at) == sorted(items)
    assert tries == dict.fromkeys(items, 1) | {("busy", 0): 3, ("other", 0): 2}
    assert min(at["busy", n] for n in range(10)) >= 0.4  # nothing of the host was asked before
    assert at["other", 0] >= 0.2
    order = [item for item, _ in done]
    assert order.index(("other", 9)) < order.index(("other", 0))  # only that item had to wait
    assert order.index(("other", 9)) < order.index(("busy", 0))


def test_nothing_to_do_and_a_failure_end_it() -> None:
    work_on([], lambda _: None, n_workers=3, per_host=1)

    async def fail(item: Item) -> None:
        raise RuntimeError(f"{item}")

    with pytest.raises(RuntimeError):
        work_on([("a", 1)], fail, n_workers=1, per_host=1)


def test_rows_come_by_turns_of_their_hosts(lake: Lake) -> None:
    with connect(lake) as connection:
        define_addresses(connection)
        urls = [f"http://{host}.example/{n}" for host in "ab" for n in range(5)]
        urls += ["http://a.example/0 ", "no address", "http://c.example/0"]
        rows = {
            "sample_id": [f"{n:02}" for n in range(len(urls))],
            "url": urls,
            "source_file": ["rows"] * len(urls),
            "source_row": list(range(len(urls))),
        }
        connection.register("samples_to_fetch", pa.table(rows))

        def found(**values: Any) -> list[str]:
            values = {"by_row": False, "in_turn": None} | values
            return [row[2] for row in connection.execute(query("fetch/places"), values).fetchall()]

        twice = [urls[0], urls[10]]  # one request for both
        assert found() == [*twice, *urls[1:10], *urls[11:]]
        assert found(in_turn=2) == [
            *(*twice, urls[1], *urls[5:7], urls[11], urls[12]),
            *(*urls[2:4], *urls[7:9], urls[4], urls[9]),
        ]
        assert found(by_row=True) == urls


def test_a_busy_host_is_waited_for_and_the_others_go_on(
    tmp_path: Path,
    draw: Callable[..., bytes],
    make_study: Callable[..., Study],
    run_stages: Callable[..., None],
    read_images: Callable[[], dict[str, dict[str, Any]]],
) -> None:
    image, asked = draw(0), list[tuple[str, float]]()

    def reply(request: Request) -> bytes:
        host = request.headers["host"].split(":")[0]
        asked.append((host, time.monotonic()))
        if host == "127.0.0.1" and sum(one == host for one, _ in asked) <= 2:
            return answer(status="429 Too Many Requests", Retry_After="1")
        return answer(image)

    with serving_raw(reply) as port:
        urls = [f"http://127.0.0.1:{port}/{n}" for n in range(100)]
        urls += [f"http://127.0.0.{2 + n % 3}:{port}/{n}" for n in range(100)]
        table = {"url": urls, "caption": [f"row {n}" for n in range(200)]}
        pq.write_table(pa.table(table), tmp_path / "rows.parquet")
        section = "[fetch]\nallow_private_hosts = true\nconnections = 4\nconnections_per_host = 2"
        run_stages(make_study(sections=section), "filter", "fetch")
    assert {row["status"] for row in read_images().values()} == {"ok"}
    busy = [at for host, at in asked if host == "127.0.0.1"]
    assert len(busy) == 102
    assert busy[2] - busy[0] >= 1  # nothing of it was asked for meanwhile
    others = [at for host, at in asked if host != "127.0.0.1"]
    assert max(others) < busy[2]


def test_a_host_that_asks_for_hours_is_left_alone(draw: Callable[..., bytes]) -> None:
    asked = Counter[str]()

    def reply(request: Request) -> bytes:
        asked[request.headers["host"].split(":")[0]] += 1
        if request.headers["host"].startswith("127.0.0.2"):
            return answer(b"image")
        return answer(status="429 Too Many Requests", Retry_After="3600")

    with serving_raw(reply) as port:
        ended = Counter[tuple[str, str]]()

        async def read_all() -> None:
            async with open_web(Fetch(allow_private_hosts=True)) as web:
                for n in range(40):
                    for host in ("127.0.0.1", "127.0.0.2"):
                        try:
                            await web.read(Row(f"{n}", f"http://{host}:{port}/{n}", "", 0))
                            ended[host, "ok"] += 1
                        except Refused as refused:
                            ended[host, refused.status] += 1
                            last = refused.reason
            assert last.startswith("not asked: 127.0.0.1 asks to come again in 3,")

        asyncio.run(read_all())
    assert ended == {("127.0.0.1", "http_429"): 40, ("127.0.0.2", "ok"): 40}
    assert asked == {"127.0.0.1": 3, "127.0.0.2": 40}


def test_a_host_behind_redirects_is_left_alone_and_blames_no_other() -> None:
    asked = Counter[str]()

    def reply(request: Request) -> bytes:
        host, port = request.headers["host"].split(":")
        asked[host] += 1
        if host == "127.0.0.9":
            wait = "3600" if request.target == "/hours" else "1"
            return answer(status="429 Too Many Requests", Retry_After=wait)
        where = f"http://127.0.0.9:{port}{request.target}"
        return answer(status="302 Found", Location=where)

    async def read_all(port: int) -> list[Refused]:
        refused = []
        async with open_web(Fetch(allow_private_hosts=True)) as web:
            for n in range(20):
                path = "second" if n == 0 else "hours"
                url = f"http://127.0.0.{1 + n % 3}:{port}/{path}"
                with pytest.raises(Refused) as caught:
                    await web.read(Row(f"{n}", url, "", 0))
                refused.append(caught.value)
        return refused

    with serving_raw(reply) as port:
        first, *others = asyncio.run(read_all(port))
    assert isinstance(first, Later)
    assert (first.wait, first.is_of_host) == (1.0, False)  # the host that led there is not busy
    assert {one.status for one in others} == {"http_429"}
    assert asked["127.0.0.9"] == 4  # once, and three times for hours


def test_each_item_of_a_local_study_is_worked_on_once(make_study: Callable[..., Study]) -> None:
    done = Counter[int]()

    async def work(item: int, _: object) -> None:
        done[item] += 1

    for_each(make_study(data='image_root = "."\nurl_column = "url"'), iter(range(100)), work)
    assert done == dict.fromkeys(range(100), 1)
