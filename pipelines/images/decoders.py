"""Pictures are decoded in child processes, each within a limit of memory and of time.

What strangers send can take gigabytes in 34 bytes, hours in a megabyte, or end the process that
reads it. None of it costs more than the row that it is of.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from queue import SimpleQueue
from threading import Lock

from ..core.cores import count_cores
from ..core.errors import StageError
from ..core.study import Fetch
from .decode import StoredImage
from .decoder import HEADER, READY, TOO_LARGE, receive
from .rows import Refused

_START_SECONDS = 120.0  # a child's imports take 0.2 s of an idle machine
# Of each child: a photograph of 12 million pixels. More cores than that allows stay without one.
_LEAST_MEMORY = 64_000_000
_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    # Each arena takes address space, which is what Linux limits, for itself. What a large picture
    # took is given back after it; small ones come too often for that.
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "4000000",
    "MALLOC_TRIM_THRESHOLD_": "16000000",
}


class Decoders:
    """Child processes that decode, each for one thread at a time."""

    def __init__(self, settings: Fetch, number: int) -> None:
        self._memory = settings.decode_memory
        self.number = max(1, min(number, self._memory // _LEAST_MEMORY))
        self._children = [_Child(settings) for _ in range(self.number)]
        self._idle = SimpleQueue[_Child]()
        for child in self._children:
            self._idle.put(child)
        self._one_alone = Lock()

    def store(self, data: bytes) -> StoredImage:
        """What to keep of a picture, as `store_image` says; for any number of threads.

        One that does not fit into a child's share of the memory is tried once more with all of it,
        while no other is decoded.

        Raises:
            Refused: as `store_image`; or too_large_for_memory, decode_timeout or crashed.
            StageError: a child cannot be started.
            OSError: a fault of this machine.

        """
        share = self._memory // self.number
        if len(data) <= share:
            try:
                with self._take(1) as child:
                    return child.store(data, share)
            except Refused as refused:
                if not _may_want_memory(refused):
                    raise
        return self._store_alone(data)

    def _store_alone(self, data: bytes) -> StoredImage:
        limit = f"decode_memory in [fetch], {self._memory:,} bytes"
        if len(data) > self._memory:
            raise Refused(TOO_LARGE, f"its file alone is larger than {limit}")
        try:
            with self._one_alone, self._take(self.number) as child:
                return child.store(data, self._memory)
        except Refused as refused:
            if not _may_want_memory(refused):
                raise
            if refused.status == TOO_LARGE:
                raise Refused(TOO_LARGE, f"decoding it takes more than {limit}") from None
            raise Refused(refused.status, f"{refused.reason}; what it may take: {limit}") from None

    @contextmanager
    def _take(self, number: int) -> Iterator["_Child"]:
        """One child, while so many are held; all of them are given back in the end."""
        with ExitStack() as held:
            for _ in range(number):
                child = self._idle.get()
                held.callback(self._idle.put, child)
            yield child

    def close(self) -> None:
        """End all children at once, whatever they do."""
        for child in self._children:
            child.close()


def _may_want_memory(refused: Refused) -> bool:
    # What is written in Rust aborts without memory, as JPEG XL's plugin.
    return refused.status == TOO_LARGE or refused.reason.endswith("SIGABRT")


@contextmanager
def start_decoders(settings: Fetch, number: int | None = None) -> Iterator[Decoders]:
    """Start a child a core, or so many; they end with the block, and with this process.

    Fewer where each could have but little of the study's `decode_memory`.
    """
    decoders = Decoders(settings, count_cores() if number is None else number)
    try:
        yield decoders
    finally:
        decoders.close()


class _Child:
    """One child process: started anew where it came to an end, until it is closed."""

    def __init__(self, settings: Fetch) -> None:
        self._settings = settings
        self._starting = Lock()
        self._is_closed = False
        self._start()

    def store(self, data: bytes, memory: int) -> StoredImage:
        """What to keep of a picture that may take so many bytes of memory.

        Raises:
            Refused: as the child says; or decode_timeout or crashed.
            StageError: it cannot be started.

        """
        if not self._is_ready:
            self._wait_until_ready()
        try:
            self._connection.sendall(HEADER.pack(len(data), memory) + data)
            n_said, n_stored = HEADER.unpack(receive(self._answers, HEADER.size))
            said = json.loads(receive(self._answers, n_said))
            stored = receive(self._answers, n_stored)
        except TimeoutError:
            self._start_anew()
            raise Refused("decode_timeout", f"after {self._settings.decode_timeout:g} s") from None
        except (EOFError, OSError):
            how = self._start_anew()
            raise Refused("crashed", f"the process that decoded it ended by {how}") from None
        if refused := said.get("refused"):
            raise Refused(*refused)
        return StoredImage(image=stored, **said)

    def close(self) -> None:
        """End it, and start it no more."""
        with self._starting:
            self._is_closed = True
            self._end()

    def _start(self) -> None:
        self._is_ready = False
        self._connection, theirs = socket.socketpair()
        self._answers = self._connection.makefile("rb")
        with theirs:
            # A session of its own: Ctrl-C reaches this process alone, which ends the child. -P
            # keeps the user's folder out of what it imports.
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", f"{__package__}.decoder"),
                    json.dumps(asdict(self._settings)),
                ],
                env=os.environ | _ENVIRONMENT,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )

    def _wait_until_ready(self) -> None:
        self._connection.settimeout(_START_SECONDS)
        assert self._process.stderr is not None
        try:
            receive(self._answers, len(READY))
        except (EOFError, OSError):
            self._process.kill()
            said = self._process.stderr.read().decode(errors="replace").strip().splitlines()
            why = said[-1] if said else _ended_by(self._process.wait())
            raise StageError(f"a process that decodes pictures does not start: {why}") from None
        self._connection.settimeout(self._settings.decode_timeout)
        self._is_ready = True

    def _start_anew(self) -> str:
        """Returns what the one before was ended by."""
        with self._starting:
            how = self._end()
            if not self._is_closed:
                self._start()
        return how

    def _end(self) -> str:
        self._process.kill()  # of one that is dead already, the exit code stays
        assert self._process.stderr is not None
        self._process.stderr.close()
        self._answers.close()
        self._connection.close()
        return _ended_by(self._process.wait())


def _ended_by(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
