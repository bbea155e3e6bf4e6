"""The child process of `decoders.py`: decodes one picture after another, each within a limit.

Requests come, and answers go, through the socket that is its stdin: what a library prints, on
stdout or stderr, comes between none of them. What it imports is light.
"""

import ctypes
import errno
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from PIL import Image

from ..core.study import Fetch
from .decode import image_limits, store_image
from .more_formats import further_format, register
from .rows import Refused

READY = b"!"  # the first byte that it sends: what it imports is there
# A request: the bytes of the file, and of memory that it may take; then the file. An answer: the
# bytes of a JSON object and of the stored image; then both.
HEADER = struct.Struct("!QQ")
TOO_LARGE = "too_large_for_memory"
_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux


def receive(other: BufferedIOBase, n_bytes: int) -> bytes:
    """So many bytes; raises EOFError where the other side ends before."""
    data = other.read(n_bytes)
    if len(data) < n_bytes:
        raise EOFError
    return data


class _Memory:
    """The memory of this process, and the limit of what a picture may take beside it.

    Linux alone keeps such a limit, which is one of the address space. macOS takes it and does
    nothing: there only the time ends what a picture takes.
    """

    def __init__(self) -> None:
        self._is_limited = sys.platform == "linux"
        if self._is_limited:
            where = ctypes.CDLL(None)["__errno_location"]
            where.restype = ctypes.POINTER(ctypes.c_int)
            self._errno = where()
            self.measure()

    def measure(self) -> None:
        """What this process has by now is no picture's."""
        if self._is_limited:
            pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
            self._own = pages * resource.getpagesize()

    @contextmanager
    def limit(self, n_bytes: int) -> Iterator[None]:
        """Let the block take so many bytes."""
        if not self._is_limited:
            yield
            return
        before = resource.getrlimit(resource.RLIMIT_AS)
        limits = [self._own + n_bytes, *(n for n in before if n != resource.RLIM_INFINITY)]
        self._errno[0] = 0
        resource.setrlimit(resource.RLIMIT_AS, (min(limits), before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)

    def ran_out(self) -> bool:
        """Whether the last error within the limit was one of memory, whatever a library calls it.

        "could not create decoder object", says WebP, and JPEG "broken data stream".
        """
        return self._is_limited and bool(self._errno[0] == errno.ENOMEM)


def _end_with_parent() -> None:
    """End when the parent does, however that ends and whatever is being decoded.

    Some decoders hold Python's lock while they work, so that no thread of ours can run.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    threading.Thread(target=_wait_for_the_end_of_stdin, daemon=True).start()


def _wait_for_the_end_of_stdin() -> None:
    hung_up = select.poll()
    hung_up.register(0, 0)  # of nothing but the other side's end
    hung_up.poll()
    os._exit(1)


def _decode(
    data: bytes, limit: int, memory: _Memory, settings: Fetch
) -> tuple[dict[str, Any], bytes]:
    """What is said of a picture, and what is stored of it."""
    if (further := further_format(data)) and further not in Image.OPEN:
        register(further)
        memory.measure()
    try:
        with memory.limit(limit):
            stored = dict(vars(store_image(data, settings)))
    except Refused as refused:
        status = TOO_LARGE if memory.ran_out() else refused.status
        return {"refused": [status, refused.reason]}, b""
    except (MemoryError, OSError) as error:
        return {"refused": [TOO_LARGE, f"{type(error).__name__}: {error}"]}, b""
    return stored, stored.pop("image")


def main() -> None:
    """Answer requests until the parent hangs up."""
    _end_with_parent()
    settings, memory = Fetch(**json.loads(sys.argv[1])), _Memory()
    with (
        socket.socket(fileno=os.dup(0)) as parent,
        parent.makefile("rb") as requests,
        image_limits(settings.max_pixels),
    ):
        parent.sendall(READY)
        os.dup2(1, 2)  # to nowhere; until here, the parent reads why it could not start
        while True:
            n_bytes, limit = HEADER.unpack(receive(requests, HEADER.size))
            said, image = _decode(receive(requests, n_bytes), limit, memory, settings)
            text = json.dumps(said).encode()
            parent.sendall(HEADER.pack(len(text), len(image)) + text + image)


if __name__ == "__main__":
    main()
