"""The explorer as a server: who may ask, what it answers, and what it says when it cannot."""

import html
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import duckdb
import psutil
import pytest
from markupsafe import escape

from memtriggers.pipelines.core.decisions import read_decisions
from memtriggers.pipelines.core.lake import Lake
from memtriggers.tests.explorers import HOSTILE, LONGEST

pytest.importorskip("starlette", reason="the extra explore is not installed")


def test_every_page_answers_and_says_what_it_may_do(server: Any, explored: Any) -> None:
    medoid = server.ask(explored.path)[1]
    (sample,) = set(re.findall(r"/samples/([0-9a-f]{32})", medoid)[:1])
    chosen = f"/?keyword_set=sunflower&threshold={explored.threshold}"
    pages = ("/", chosen, "/?page=3", "/search", "/sql", explored.path)
    for path in (*pages, f"/samples/{sample}", "/static/explore.css", "/static/slider.js"):
        status, text, headers = server.ask(path)
        assert status == 200 and text, path
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"(src|href|action)=\"(https?:)?//", text), path
    assert server.ask(f"/images/sample/{sample}")[2]["content-type"].startswith("image/")


@pytest.mark.parametrize(
    "path",
    [
        *("/nothing", "/clusters/0.82/none", "/clusters/high/none", "/clusters/nan/none"),
        *("/samples/none", "/images/sample/none", "/images/no/none", "/static/../app.py"),
        *("/static/%2e%2e/app.py", "/?threshold=x"),
    ],
)
def test_what_is_not_there_is_a_page_that_says_so(server: Any, path: str) -> None:
    status, text, _ = server.ask(path)
    assert status == 404 and "Traceback" not in text and "Starlette" not in text


def test_captions_are_text(server: Any, explored: Any) -> None:
    text = server.ask(explored.path)[1]
    assert "<script>document" not in text and "<img src=x" not in text and "\x1b" not in text
    assert str(escape("<script>document.title = 'hacked'</script>")) in text
    assert LONGEST[:159] in text and LONGEST[:161] not in text
    query = {"query": f"select caption from samples where caption like '{LONGEST[:9]}%'"}
    assert len(server.ask("/sql", urlencode(query))[1]) < 10_000
    found = [server.ask(f"/samples/{one}")[1] for one in re.findall(r"/samples/(\w+)", text)[:2]]
    whole = next(page for page in found if LONGEST in page)
    other = next(page for page in found if page is not whole)
    assert str(escape(HOSTILE[:60])) in other and "\N{RIGHT-TO-LEFT OVERRIDE}" not in other


def test_other_names_and_other_sites_are_refused(server: Any, explored: Any) -> None:
    port = server.base.rpartition(":")[2]
    for name in ("evil.example", f"evil.example:{port}", f"127.0.0.1.evil.example:{port}", "["):
        assert server.ask("/", Host=name)[0] == 403, name
    assert server.ask("/", Host=f"localhost:{port}")[0] == 200
    mark = f"{explored.path}/mark"
    for origin in ("https://evil.example", "null", "http://127.0.0.1", "", f"{server.base}.evil"):
        assert server.ask(mark, "mark=remove", Origin=origin)[0] == 403, origin
    assert not (explored.lake.root / "decisions").exists()
    assert server.ask(mark, follow=False)[0] == 405, "a link cannot mark"


def test_a_post_without_a_length_or_too_long_is_refused(server: Any) -> None:
    port = int(server.base.rpartition(":")[2])
    refused = {"Transfer-Encoding: chunked": "411", f"Content-Length: {2**30}": "413"}
    for header, status in refused.items():
        with socket.create_connection(("127.0.0.1", port)) as connection:
            lines = ["POST /search HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Origin: {server.base}"]
            connection.sendall("\r\n".join((*lines, header, "", "")).encode())
            assert connection.recv(100).decode().split()[1] == status


def test_elsewhere_than_on_this_machine_a_token_is_asked_for(
    serve: Callable[..., Any], explored: Any
) -> None:
    server = serve("--lake", explored.lake.root, "--host", "0.0.0.0")
    token = server.url.partition("?token=")[2]
    assert len(token) > 40 and server.base.startswith("http://0.0.0.0:")
    for path in ("/", explored.path, "/static/explore.css", "/?token=", f"/?token={token[:-1]}"):
        assert server.ask(path)[0] == 401, path
    assert server.ask(f"/sql?token={token}", "query=select 1")[0] == 401, "a GET alone signs in"
    status, _, headers = server.ask(f"/?token={token}")
    cookie = headers["set-cookie"]
    assert status == 200 and "HttpOnly" in cookie and "SameSite=strict" in cookie
    signed = {"Cookie": cookie.partition(";")[0]}
    assert "Clusters" in server.ask("/", **signed)[1]
    assert server.ask("/", Cookie=signed["Cookie"] + "x")[0] == 401
    assert server.ask("/", Host="evil.example", **signed)[0] == 403
    assert server.ask("/", Host=f"{socket.gethostname()}:1", **signed)[0] == 200


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("mark", "mark=good", "wanted, placeholder, remove, none"),
        ("threshold", "metric=clip&reference=nobody", "no generation of this cluster has a score"),
        ("threshold", "replication_threshold=high", "&#39;high&#39; is not a number"),
        ("threshold", "replication_threshold=nan", "that a score could reach"),
        ("threshold", "replication_threshold=0.5&bands=near,far", "&#39;near&#39; is not a number"),
        ("threshold", "replication_threshold=0.5&bands=1,2,3,4,5,6,7,8,9,10", "at most 9 scores"),
    ],
)
def test_what_cannot_be_decided_is_said(
    server: Any, explored: Any, path: str, body: str, said: str
) -> None:
    (chosen,) = set(re.findall(r'name="generator" value="(.*?)"', server.ask(explored.path)[1]))
    known = {"generator": chosen, "metric": "clip", "reference": "medoid"} | dict(parse_qsl(body))
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    status, text, _ = server.ask(f"{explored.path}/{path}", urlencode(known), **form)
    assert status == 400 and said in text, text
    assert not (explored.lake.root / "decisions").exists()


def test_a_wrong_value_leaves_what_was_decided_before(
    serve: Callable[..., Any], explored: Any, tmp_path: Path
) -> None:
    lake = Lake(shutil.copytree(explored.lake.root, tmp_path / "lake", symlinks=True))
    server = serve("--lake", lake.root)
    (chosen,) = set(re.findall(r'name="generator" value="(.*?)"', server.ask(explored.path)[1]))
    known = {"generator": chosen, "metric": "clip", "reference": "medoid", "bands": "0.7"}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for value, status in (("0.7", 303), ("high", 400)):
        asked = urlencode(known | {"replication_threshold": value})
        path = f"{explored.path}/threshold"
        assert server.ask(path, asked, follow=False, **form)[0] == status
    (row,) = read_decisions(lake, "decided_thresholds")
    assert row["replication_threshold"] == 0.7


def test_what_is_no_image_is_said(server: Any) -> None:
    part = 'Content-Disposition: form-data; name="image"; filename="<b>.png"'
    body = f"--x\r\n{part}\r\nContent-Type: image/png\r\n\r\nno image\r\n--x--\r\n"
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    status, text, _ = server.ask("/search", body, **form)
    assert status == 400 and "&lt;b&gt;.png: not_an_image" in text
    status, text, _ = server.ask("/search", body.replace("<b>.png", ""), **form)
    assert status == 400 and "choose an image first" in text


def test_an_upload_that_would_take_everything_is_said(server: Any) -> None:
    bomb = Path(__file__).parents[2] / "cases" / "images" / "webp_10000.webp"
    part = 'Content-Disposition: form-data; name="image"; filename="small.webp"'
    body = f"--x\r\n{part}\r\n\r\n".encode() + bomb.read_bytes() + b"\r\n--x--\r\n"
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    status, text, _ = server.ask("/search", body, **form)
    assert status == 400 and "small.webp: too_large_for_memory" in text


def sql(server: Any, query: str) -> tuple[int, str]:
    status, text, _ = server.ask("/sql", urlencode({"query": query}))
    error = re.search(r'role="alert">(.*?)</p>', text, re.DOTALL)
    return status, html.unescape(error[1]) if error else text


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("select", "Parser Error"),
        ("", "no query"),
        ("from read_text('/etc/passwd')", "file system operations are disabled"),
        ("copy clusters to '/tmp/x.csv'", "file system operations are disabled"),
        ("attach '/tmp/x.db' as x", "file system operations are disabled"),
        ("install httpfs", "file system operations are disabled"),
        ("set enable_external_access = true", "locked"),
        ("set threads = 1", "locked"),
        ("delete from samples", "read-only"),
        ("create table x as select 1", "read-only"),
        ("from started", "started does not exist"),  # a variable of Python's
        ("select count(*) from range(1_000_000) a, range(1_000_000) b", "more than 5 s"),
    ],
)
def test_the_box_reads_the_tables_and_nothing_else(server: Any, query: str, said: str) -> None:
    status, text = sql(server, query)
    assert status == 400 and said in text, text
    assert "\n" not in text.strip() and "Traceback" not in text


def test_the_box_shows_rows_but_not_all(server: Any) -> None:
    assert "69" in sql(server, "select count(*) as n from samples where status = 'embedded'")[1]
    text = sql(server, "from range(1_000_000_000_000)")[1]
    assert "more than 500 rows" in text and text.count("<tr>") == 501
    text = sql(server, "select null as a, '<b>' as \"<i>\", [1, 2] as c, 0.1::float as d")[1]
    assert "&lt;b&gt;" in text and "&lt;i&gt;" in text and "<b>" not in text and "[1, 2]" in text


def test_a_new_build_is_read_without_a_restart(
    serve: Callable[..., Any], explored: Any, tmp_path: Path
) -> None:
    """The pointer is moved as `build` moves it."""
    lake = tmp_path / "lake"
    shutil.copytree(explored.lake.root / "builds", lake / "builds")
    pointer = lake / "current.duckdb"
    pointer.symlink_to(explored.lake.current.readlink())
    server = serve("--lake", lake)
    for path in ("/search", "/search?text=x"):
        assert "no study says which model" in server.ask(path)[1]
    other = lake / "builds" / "other.duckdb"
    shutil.copy(pointer.resolve(), other)
    with duckdb.connect(str(other)) as connection:
        connection.execute("update keyword_sets set keyword_set = 'a new name'")
    assert "a new name" not in server.ask("/")[1]
    (lake / "next").symlink_to(other)
    (lake / "next").replace(pointer)
    assert "a new name" in server.ask("/")[1]
    assert "no picture" in server.ask("/")[1], "a lake without its images"
    pointer.unlink()
    status, text, _ = server.ask("/")
    assert status == 503 and "nothing is published yet" in text


def test_it_says_what_it_cannot_show_without_the_other_extras(
    serve: Callable[..., Any], explored: Any
) -> None:
    absent = ("torch", "torchvision", "open_clip", "lance", "lancedb", "dask", "PIL", "scipy")
    arguments = ("--lake", explored.lake.root, "--study", explored.study)
    server = serve(*arguments, without=absent)
    for path in ("/", explored.path):
        status, text, _ = server.ask(path)
        assert status == 200 and "no picture" in text
        assert "Images cannot be shown: the Lance tables need the package pylance" in text
    for path in ("/search", "/search?text=star"):
        assert "pip install &#39;memtriggers[embed]&#39;" in server.ask(path)[1]


def explore(*arguments: str | Path, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "memtriggers", "explore", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
    )


def test_what_cannot_be_served_is_one_line(explored: Any, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        lines = {
            "nothing is published yet; run: memtriggers refresh": (),
            f"127.0.0.1:{port} is in use: name another with --port": (
                *("--lake", explored.lake.root, "--port", port),
            ),
            "no.example:8642 cannot be listened on": (
                *("--lake", explored.lake.root, "--host", "no.example"),
            ),
            "none.toml: no such study file": (
                *("--lake", explored.lake.root, "--study", "none.toml"),
            ),
        }
        for said, arguments in lines.items():
            done = explore(*arguments, cwd=tmp_path)
            assert done.returncode == 1 and said in done.stderr and done.stderr.count("\n") == 1


def test_ctrl_c_does_not_wait_for_a_query(serve: Callable[..., Any], explored: Any) -> None:
    server = serve("--lake", explored.lake.root)
    server.ask("/sql", urlencode({"query": "select 1"}))  # all that it imports is there
    query = urlencode({"query": "select count(*) from range(1_000_000) a, range(1_000_000) b"})
    asked = threading.Thread(target=lambda: server.ask("/sql", query), daemon=True)
    asked.start()
    process = psutil.Process(server.process.pid)
    before = processor_seconds(process)
    while processor_seconds(process) < before + 0.2:  # it is asked, and counts
        time.sleep(0.01)
    server.process.send_signal(signal.SIGINT)
    while process.status() != psutil.STATUS_ZOMBIE:
        spent = processor_seconds(process) - before
        assert spent < 4, "the query alone would take 5 s on each core"
        time.sleep(0.01)
    server.process.wait()


def processor_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
