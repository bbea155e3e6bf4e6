"""`explore` as a person starts it, asked as a browser asks, of a lake with hostile captions."""

import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from memtriggers.pipelines.core.lake import Lake

HOSTILE = (
    "<script>document.title = 'hacked'</script><img src=x onerror=\"document.title = 'hacked'\"> & "
    "</bdi></p>'\" {{ 7 * 7 }} \N{RIGHT-TO-LEFT OVERRIDE}gnp.exe שלום עולם مرحبا 🌟👩‍🚀 "
    "\x07\x1b[31m"
)
LONGEST = "W" * 61_192


@dataclass
class Explored:
    """A lake, its study, and the cluster whose captions are hostile."""

    lake: Lake
    study: Path
    threshold: float
    cluster_id: str
    prompt: str = field(repr=False)

    @property
    def path(self) -> str:
        """Where the page of that cluster is."""
        return f"/clusters/{self.threshold}/{self.cluster_id}"


@dataclass
class Server:
    """A running explorer."""

    url: str
    process: "subprocess.Popen[str]"

    @property
    def base(self) -> str:
        """Its address without a token."""
        return self.url.partition("?")[0].rstrip("/")

    def ask(
        self, path: str, body: str | bytes | None = None, follow: bool = True, **headers: str
    ) -> tuple[int, str, dict[str, str]]:
        """The status, text and headers of an answer; a body makes it a POST from its own page."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            given = {"Origin": self.base} | given
        data = body.encode() if isinstance(body, str) else body
        request = urllib.request.Request(self.base + path, data=data, headers=given)
        opener = urllib.request.build_opener(*([] if follow else [_NoRedirect]))
        try:
            with opener.open(request) as answer:
                return answer.status, answer.read().decode("utf-8", "replace"), dict(answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode("utf-8", "replace"), dict(error.headers)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: Any) -> None:
        return None


def start(*arguments: str | Path, without: Sequence[str] = ()) -> Server:
    """`explore` on a free port, once it says where it is; as if some packages were not there."""
    code = f"import sys; sys.modules.update(dict.fromkeys({list(without)}))\n"
    code += "from memtriggers.pipelines.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "explore", "--port", "0", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stderr is not None
    line = process.stdout.readline().strip()
    assert re.fullmatch(r"http://\S+", line), line + process.stderr.read()
    return Server(line, process)


def stop(server: Server) -> None:
    """End it as a person does, which is no error."""
    server.process.send_signal(signal.SIGINT)
    _, errors = server.process.communicate()
    assert (server.process.returncode, errors) == (0, "Ctrl-C ends it.\n")


def make_hostile(lake: Path, study: Path, folder: Path) -> Explored:
    """A copy of the lake, in which the largest cluster that is asked for has hostile captions."""
    copy = Lake(shutil.copytree(lake, folder / "lake", symlinks=True))
    with duckdb.connect(str(copy.current.resolve())) as connection:
        threshold, cluster_id, prompt = _largest(connection)
        _make_hostile(connection, threshold, cluster_id)
    return Explored(copy, study, threshold, cluster_id, prompt)


def _largest(connection: duckdb.DuckDBPyConnection) -> tuple[float, str, str]:
    """The largest cluster that prompts were made of, and its keywords prompt."""
    row = connection.execute(
        "select threshold, clusters.cluster_id, prompt_id from prompts "
        "join cluster_members as members using (threshold) "
        "join clusters using (threshold) "
        "where members.sample_id = prompts.cluster_id and clusters.cluster_id = members.cluster_id "
        "and family = 'keywords' order by clusters.n_samples desc limit 1"
    ).fetchone()
    assert row is not None
    return row


def _make_hostile(connection: duckdb.DuckDBPyConnection, threshold: float, cluster_id: str) -> None:
    ids = connection.execute(
        "select sample_id from cluster_members where threshold = ? and cluster_id = ? "
        "order by cosine_to_medoid desc, sample_id limit 2",
        [threshold, cluster_id],
    ).fetchall()
    for (sample_id,), caption in zip(ids, (HOSTILE, LONGEST), strict=True):
        connection.execute(
            "update samples set caption = ? where sample_id = ?", [caption, sample_id]
        )
