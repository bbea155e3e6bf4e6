"""Python modules run by tests as commands, from a process that has imported what takes seconds.

A test starts a process, as a person or the product does. The process asks a server, which forks;
the forked one has the arguments, variables, folder and pipes of who asked, and from there on it is
the same code. It is not for tests that look at what is imported, at memory or at signals.
"""

import atexit
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from memtriggers.pipelines.warehouse.dbt_run import DbtRun

# Not lance, which must not be forked.
IMPORTED = ("dbt.cli.main", "open_clip", "diffusers", "distributed", "altair", "scipy.stats")
# Hands on all that it was given, and ends when the forked process has.
ASK = """
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect(sys.argv[1])
    asked = json.dumps([sys.argv[2:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [len(asked).to_bytes(8, "big")], [0, 1, 2])
    server.sendall(asked)
    code = b"".join(iter(lambda: server.recv(8), b""))
sys.exit(int(code or 1))
"""

_servers: list["Server"] = []  # of this process: one, once somebody has asked


def command(module: str, *arguments: str | Path) -> list[str]:
    """What runs a module as `python -m` does."""
    if not _servers:
        _servers.append(Server())
    return _ask(_servers[0].address, module, *arguments)


@contextmanager
def stopped_at_the_end() -> Iterator[None]:
    """End the server, where there is one, with the block."""
    try:
        yield
    finally:
        while _servers:
            _servers.pop().stop()


class Server:
    """The process that has imported it all."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="warm-")
        self.address = str(Path(self._folder.name) / "socket")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, self.address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def stop(self) -> None:
        self._process.communicate()  # closes its stdin, at which it ends
        self._folder.cleanup()


def _ask(address: str, module: str, *arguments: str | Path) -> list[str]:
    return [sys.executable, "-ISc", ASK, address, module, *map(str, arguments)]


def serve(address: str) -> socket.socket | None:
    """Fork for each that asks, until stdin is closed.

    In the forked process, returns the connection, which that process holds for as long as it lives.
    """
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        print("ready", flush=True)
        while server in select.select([server, sys.stdin], [], [])[0]:
            connection, _ = server.accept()
            if os.fork() == 0:
                return connection
            connection.close()
    return None


def become(connection: socket.socket) -> str:
    """Take over the pipes, arguments, folder and variables of who asked; returns the module."""
    length, pipes, _, _ = socket.recv_fds(connection, 8, 3)
    for number, pipe in enumerate(pipes):
        os.dup2(pipe, number)
        os.close(pipe)
    with connection.makefile("rb") as file:
        (module, *arguments), folder, variables = json.loads(
            file.read(int.from_bytes(length, "big"))
        )
    sys.argv[1:] = arguments
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    return str(module)


def main(address: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forked ones
    for name in IMPORTED:
        importlib.import_module(name)
    ask_for_dbt(address)
    connection = serve(address)
    if connection is None:
        return
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    code: int | str | None = 0
    try:
        runpy.run_module(become(connection), run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    finish(connection, code if isinstance(code, int) else int(code is not None))


def finish(connection: socket.socket, code: int) -> NoReturn:
    """End this process as Python does, but for libraries that would wait for the server's threads.

    The connection stays open until the process has ended, and its files are free.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(str(code).encode())
    os._exit(code)


def ask_for_dbt(address: str | None = None) -> None:
    """Let the builds of this process start dbt from a server."""
    cold = DbtRun.command

    def warm(run: DbtRun, *verbs: str) -> list[str]:
        asked = cold(run, *verbs)
        module, *arguments = asked[asked.index("-m") + 1 :]
        return _ask(address, module, *arguments) if address else command(module, *arguments)

    DbtRun.command = warm  # type: ignore[method-assign]


if __name__ == "__main__":
    main(sys.argv[1])
