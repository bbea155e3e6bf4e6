"""`explore` as a person starts it, asked as a browser asks; and captions that are hostile."""

import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOSTILE = (
    "<script>document.title = 'hacked'</script><img src=x onerror=\"document.title = 'hacked'\"> & "
    "</bdi></p>'\" {{ 7 * 7 }} \N{RIGHT-TO-LEFT OVERRIDE}gnp.exe שלום עולם مرحبا 🌟👩‍🚀 "
    "\x07\x1b[31m"
)
LONGEST = "W" * 61_192


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
        self, path: str, body: str | None = None, follow: bool = True, **headers: str
    ) -> tuple[int, str, dict[str, str]]:
        """The status, text and headers of an answer; a body makes it a POST from its own page."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            given = {"Origin": self.base} | given
        data = None if body is None else body.encode()
        request = urllib.request.Request(self.base + path, data=data, headers=given)
        opener = urllib.request.build_opener(*([] if follow else [_NoRedirect]))
        try:
            with opener.open(request, timeout=30) as answer:
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
    _, errors = server.process.communicate(timeout=20)
    assert (server.process.returncode, errors) == (0, "Ctrl-C ends it.\n")
