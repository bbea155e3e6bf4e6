"""Whatever a server sends, and whatever else happens to one row, is that row's outcome."""

import socketserver
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memtriggers.pipelines.core.errors import StageError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Study
from memtriggers.pipelines.fetch import forget_passing_failures

Rows = dict[str, dict[str, Any]]
PASSWORD = "hunter2pass"
OK = b"HTTP/1.1 200 OK\r\n"
BUSY = b"HTTP/1.1 503 Busy\r\nRetry-After: "
MOVED = b"HTTP/1.1 302 Found\r\nLocation: "
NO_BODY = b"\r\nContent-Length: 0\r\n\r\n"
ANSWERS = {
    "latin-1": (
        b"HTTP/1.1 404 P\xe1gina n\xe3o encontrada\r\n\r\n",
        ("http_404", "Página não encontrada"),
    ),
    "control": (b"HTTP/1.1 404 a\x85\xc2\x85\xff\r\n\r\n", ("http_404", "a\\x85\\x85ÿ")),
    "robots": (OK + b"X-Robots-Tag: \xff\xfe, noindex" + NO_BODY, ("opted_out", "ÿþ, noindex")),
    "year": (BUSY + b"Fri, 31 Dec 99999999999999999999 23:59:59 GMT" + NO_BODY, "http_503"),
    "zone": (BUSY + b"Fri, 31 Dec 2049 23:59:59 +99999999999999999999" + NO_BODY, "http_503"),
    "hours": (BUSY + b"Fri, 31 Dec 2049 99:59:59 GMT" + NO_BODY, "http_503"),
    "naive": (BUSY + b"Fri, 31 Dec 9999 23:59:59 -0000" + NO_BODY, "http_503"),
    "seconds": (BUSY + b"9" * 5000 + NO_BODY, "http_503"),
    "no-utf-8": (BUSY + b"\xff\xb2\xb3" + NO_BODY, "http_503"),
    "long": (b"HTTP/1.1 404 " + b"x" * 5000 + b"\r\n\r\n", ("http_404", "x" * 500)),
    "to-bytes": (MOVED + b"http://\xff\xfe/" + NO_BODY, "invalid_url"),
    "to-brackets": (MOVED + b"http://[::1" + NO_BODY, "invalid_url"),
    "to-port": (MOVED + b"http://127.0.0.1:99999/" + NO_BODY, "invalid_url"),
    "to-label": (MOVED + b"http://" + b"x" * 70 + b".invalid/" + NO_BODY, "invalid_url"),
    "to-surrogate": (MOVED + b"//\xed\xa0\x80/" + NO_BODY, "invalid_url"),
    "to-nothing": (MOVED + NO_BODY, "too_many_redirects"),
    "gzip": (
        OK + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\xff\xfe\xfd\xfc",
        ("content_encoding", "Can not decode content-encoding: gzip"),
    ),
    "chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n\xff\xfe\r\n", "connection"),
    "echo": (f"HTTP/1.1 401 {PASSWORD}?\r\n\r\n".encode(), ("http_401", "***?")),
}


@pytest.fixture
def port() -> Iterator[int]:
    """Where each path is answered with the bytes of its name."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            name = self.rfile.readline().split(b" ")[1].strip(b"/").decode()
            while self.rfile.readline().strip():
                pass
            self.wfile.write(ANSWERS[name][0] if name in ANSWERS else b"")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_every_answer_is_a_row(
    port: int,
    make_study: Callable[..., Study],
    write_samples: Callable[..., list[str]],
    run_stages: Callable[..., None],
    read_images: Callable[[], Rows],
    lake: Lake,
) -> None:
    address = f"user:{PASSWORD}@127.0.0.1:{port}"
    urls = [f"http://{address}/{name}" for name in ANSWERS]
    ids = write_samples(*({"url": url} for url in urls), {"url": f"ftp://{address}/"})
    study = make_study(sections="[fetch]\nallow_private_hosts = true\nretries = 1\ntimeout = 5")
    with pytest.raises(StageError, match="none of") as lost:  # they are rows all the same
        run_stages(study, "fetch")
    assert PASSWORD not in str(lost.value)
    rows = [read_images()[sample_id] for sample_id in ids]
    found = {
        name: (row["status"], row["status_reason"])
        if isinstance(expected, tuple)
        else row["status"]
        for (name, (_, expected)), row in zip(ANSWERS.items(), rows, strict=False)
    }
    assert found == {name: expected for name, (_, expected) in ANSWERS.items()}
    reason = f"ftp://***@127.0.0.1:{port}/: neither http nor https"
    assert (rows[-1]["status"], rows[-1]["status_reason"]) == ("invalid_url", reason)
    assert not any(PASSWORD in (row["status_reason"] or "") for row in rows)


def test_an_exception_that_nobody_thought_of_is_the_row_s_too(
    tmp_path: Path,
    make_study: Callable[..., Study],
    write_samples: Callable[..., list[str]],
    run_stages: Callable[..., None],
    read_images: Callable[[], Rows],
    draw: Callable[..., bytes],
    lake: Lake,
) -> None:
    # What img2dataset says of the row without an image is not UTF-8.
    offsets = pa.array([0, 0, 2], pa.int32()).buffers()[1]
    message = pa.StringArray.from_buffers(2, offsets, pa.py_buffer(b"\xff\xfe"))
    columns = {"jpg": [draw(0), None], "status": ["success", "failed"], "error_message": message}
    path = tmp_path / "images.parquet"
    pq.write_table(pa.table(columns), path)
    ids = write_samples(*({"source_file": str(path), "source_row": row} for row in (0, 1)))
    run_stages(make_study(data='image_column = "jpg"'), "fetch")
    assert [read_images()[i]["status"] for i in ids] == ["ok", "unexpected"]
    assert read_images()[ids[1]]["status_reason"].startswith("UnicodeDecodeError: ")
    forget_passing_failures(lake)
    assert list(read_images()) == [ids[0]], "a later version, or a mended file, may bring it"
