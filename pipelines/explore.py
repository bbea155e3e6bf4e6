"""explore: the published tables and images as pages on this machine, and what a person decides."""

import errno
import socket
from contextlib import suppress
from pathlib import Path

import click

from .errors import LakeError, MissingExtra
from .lake import Lake
from .study_file import load_study


def explore(lake: Lake, study_file: Path | None, host: str, port: int) -> None:
    """Serve the pages until Ctrl-C.

    Args:
        lake: with a published build.
        study_file: says by which model is searched; None: the pages do without.
        host: to listen on; others than this machine's own need the token that is printed.
        port: 0 takes one that is free.

    Raises:
        LakeError: nothing is published yet, or the port cannot be had.
        StudyError: the study cannot be read.
        MissingExtra: the extra is not installed.

    """
    lake.require_build()
    study = None if study_file is None else load_study(study_file)
    try:
        import uvicorn
        from python_multipart import multipart  # noqa: F401

        from .explorer.app import make_app
        from .explorer.guard import make_token
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"explore needs the package {error.name}; install: pip install 'memtriggers[explore]'"
        ) from None
    token = make_token(host)
    with _listen(host, port) as listening:
        app = make_app(lake, study, host, token)
        config = uvicorn.Config(
            app,
            log_level="warning",
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=2,  # seconds: a query that runs longer is not waited for
        )
        click.echo(_address(listening, token))
        click.echo("Ctrl-C ends it.", err=True)
        with suppress(KeyboardInterrupt):  # uvicorn has ended cleanly when it raises it again
            uvicorn.Server(config).run(sockets=[listening])


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
