"""The server: it listens until Ctrl-C, and ends with whatever is still being asked."""

import errno
import socket
from contextlib import suppress
from types import FrameType

import click
import uvicorn

from ..core.errors import LakeError
from ..core.lake import Lake
from ..core.study import Study
from .app import make_app
from .guard import make_token
from .published import Published
from .state import Explorer
from .stored_images import StoredImages


class Server(uvicorn.Server):
    """A server of one explorer."""

    def __init__(self, explorer: Explorer, host: str, token: str | None) -> None:
        config = uvicorn.Config(
            make_app(explorer, host, token),
            log_level="warning",
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=2,  # seconds
        )
        super().__init__(config)
        self._published = explorer.published

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End the queries, too: the process would wait for their threads."""
        super().handle_exit(sig, frame)
        self._published.interrupt()


def serve(lake: Lake, study: Study | None, host: str, port: int) -> None:
    """Say where the pages are, and serve them until Ctrl-C.

    Raises:
        LakeError: the port cannot be had.

    """
    token = make_token(host)
    with _listen(host, port) as listening:
        server = Server(Explorer(lake, study, Published(lake), StoredImages(lake)), host, token)
        click.echo(_address(listening, token))
        click.echo("Ctrl-C ends it.", err=True)
        with suppress(KeyboardInterrupt):  # which is raised again when all has ended
            server.run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens, so that what is wrong with it is said in one line."""
    try:
        family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            why = "is in use: name another with --port, or 0 for one that is free"
        else:
            why = f"cannot be listened on: {error.strerror or error}"
        raise LakeError(f"explore: {host}:{port} {why}") from None
    return listening


def _address(listening: socket.socket, token: str | None) -> str:
    host, port = listening.getsockname()[:2]
    named = f"[{host}]" if ":" in host else host
    return f"http://{named}:{port}/" + (f"?token={token}" if token else "")
