"""Python modules run by tests as commands, from a process that has imported what takes seconds.

A test starts a process, as a person or the product does. The process asks a server, which forks;
the forked one has the arguments, variables, folder and pipes of who asked, and from there on it is
the same code. It is not for tests that look at what is imported, at memory or at signals.
"""

import atexit
import fcntl
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import NoReturn

import duckdb

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

SECONDS_IDLE = 900  # after which nobody will ask any more: the tests were killed


def new_folder() -> "tempfile.TemporaryDirectory[str]":
    """Where all processes of this run of tests find the server, which ends with the folder."""
    folder = tempfile.TemporaryDirectory(prefix="warm-")
    os.environ["MEMTRIGGERS_TESTS_WARM"] = folder.name
    return folder


def command(module: str, *arguments: str | Path) -> list[str]:
    """What runs a module as `python -m` does."""
    folder = Path(os.environ["MEMTRIGGERS_TESTS_WARM"])
    address = folder / "socket"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not address.exists():
            _start(address)
    return [sys.executable, "-ISc", ASK, str(address), module, *map(str, arguments)]


def _start(address: Path) -> None:
    """Start the server, and wait until it takes questions; nobody waits for its end."""
    said, says = os.pipe()
    os.posix_spawn(
        sys.executable,
        [sys.executable, "-P", "-m", __name__, str(address)],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, says, 1),
        ],
        setsid=True,  # Ctrl-C is for the tests
    )
    os.close(says)
    with os.fdopen(said, "rb") as lines:
        assert lines.readline() == b"ready\n"


def serve(address: str) -> socket.socket | None:
    """Fork for each that asks, until the tests have ended.

    In the forked process, returns the connection, which that process holds for as long as it lives.
    """
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        print("ready", flush=True)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        asked = time.monotonic()
        while Path(address).exists() and time.monotonic() < asked + SECONDS_IDLE:
            if select.select([server], [], [], 1)[0]:
                connection, _ = server.accept()
                if os.fork() == 0:
                    return connection
                connection.close()
                asked = time.monotonic()
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
    duckdb.execute("set threads = 1")  # another thread of its own database would not be forked
    ask_for_dbt()
    connection = serve(address)
    if connection is None:
        return
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    code: int | str | None = 0
    try:
        runpy.run_module(become(connection), run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
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


def ask_for_dbt() -> None:
    """Let the builds of this process start dbt from the server."""
    cold = DbtRun.command

    def warm(run: DbtRun, *verbs: str) -> list[str]:
        _, _, _, module, *arguments = cold(run, *verbs)  # python -P -m module …
        return command(module, *arguments)

    DbtRun.command = warm  # type: ignore[method-assign]


if __name__ == "__main__":
    main(sys.argv[1])
