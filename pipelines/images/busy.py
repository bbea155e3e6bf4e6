"""Hosts that ask, answer after answer, to be left alone for longer than a request may take."""

import time
from collections import Counter

from yarl import URL

from .rows import Refused

_IN_TURN = 3  # such answers: a single one may be of one address


class BusyHosts:
    """Hosts of which nothing is asked for as long as they say; `patience` is in seconds."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._asked: Counter[str] = Counter()
        self._closed: dict[str, tuple[float, str]] = {}

    def heard(self, url: URL, status: str, wait: float | None) -> None:
        """Note an answer, and for how many seconds the host asks to wait."""
        host = url.host or ""
        if wait is None or wait <= self._patience:
            self._asked.pop(host, None)
            return
        self._asked[host] += 1
        if self._asked[host] >= _IN_TURN:
            self._closed[host] = (time.monotonic() + wait, status)

    def check(self, url: URL) -> None:
        """Raise Refused, with the status of before, where the host asks for time."""
        until, status = self._closed.get(url.host or "", (0.0, ""))
        wait = until - time.monotonic()
        if wait > 0:
            raise Refused(status, f"not asked: {url.host} asks to come again in {wait:,.0f} s")
