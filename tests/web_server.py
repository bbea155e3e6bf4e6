"""A server on this machine that answers as it is told, for what fetches from the web."""

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

Answer = tuple[int, dict[str, str], bytes]  # status, headers, body
Routes = dict[str, Answer | list[Answer]]  # by path; of a list, each request takes one

_RESET = struct.pack("ii", 1, 0)  # closing sends RST: "connection reset by peer"


@contextmanager
def serving(routes: Routes) -> Iterator[str]:
    """Serve routes on 127.0.0.1 and a port of its own; yields the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(routes))
    server.daemon_threads = True
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _handler(routes: Routes) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/hang":
                time.sleep(30)  # longer than any test waits
                return
            status, headers, body = _next_answer(routes, self.path)
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                if value:
                    self.send_header(name, value)
            self.end_headers()
            with suppress(ConnectionError):  # the client hangs up on what is too large
                self.wfile.write(body)
            if "X-Reset" in headers:
                self.wfile.flush()
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                self.connection.close()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    return Handler


def _next_answer(routes: Routes, path: str) -> Answer:
    answers = routes.get(path, (404, {}, b"nothing here"))
    if isinstance(answers, tuple):
        return answers
    return answers.pop(0) if len(answers) > 1 else answers[0]
