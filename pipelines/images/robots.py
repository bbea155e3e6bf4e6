"""robots.txt: asked for once a host and day, and kept in the lake (RFC 9309).

`lake/robots.sqlite` has the text of each host. It may be removed at any time: then every host is
asked once more.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path
from weakref import WeakValueDictionary

from protego import Protego
from yarl import URL

from ..core.remembered import open_remembered
from .rows import Refused

MAX_BYTES = 512 * 1024  # what lies behind them is not read
DISALLOWED, UNREACHABLE = "opted_out_robots_txt", "robots_txt_unreachable"

_TRUSTED = 24 * 60 * 60  # seconds
_AT_ONCE = 1_000  # hosts whose rules are in memory
_TABLE = (
    "create table if not exists hosts (origin text primary key, asked_at real, text text)"
    " without rowid"
)

Ask = Callable[[URL], Awaitable[tuple[int, bytes]]]
"""Gives the status that an address answers with, and the first `MAX_BYTES` of what it serves."""


class RobotsFiles:
    """What the hosts say that programs may ask for."""

    def __init__(self, ask: Ask, kept: Path | None, agent: str) -> None:
        self._ask, self._agent = ask, agent
        self._connection = open_remembered(kept, _TABLE)
        self._connection.execute("pragma synchronous = off")  # what is lost is asked for again
        self._known: OrderedDict[str, Protego | Refused] = OrderedDict()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def check(self, url: URL) -> None:
        """Ask the host of an address for its robots.txt, unless it was asked.

        Raises:
            Refused: opted_out_robots_txt, or robots_txt_unreachable: by the RFC, a host that cannot
                say what it allows allows nothing.

        """
        origin = str(url.origin())
        async with self._turns.setdefault(origin, asyncio.Lock()):
            rules = self._known.pop(origin, None) or await self._find(origin)
            self._known[origin] = rules
            while len(self._known) > _AT_ONCE:
                self._known.popitem(last=False)
        if isinstance(rules, Refused):
            raise rules
        if not rules.can_fetch(str(url), self._agent):
            raise Refused(DISALLOWED, f"{origin}/robots.txt disallows it for {self._agent}")

    def close(self) -> None:
        """Close what is kept."""
        self._connection.close()

    async def _find(self, origin: str) -> Protego | Refused:
        find = "select text from hosts where origin = ? and asked_at > ?"
        row = self._connection.execute(find, (origin, time.time() - _TRUSTED)).fetchone()
        if row is not None:
            return Protego.parse(row[0])
        try:
            status, data = await self._ask(URL(f"{origin}/robots.txt"))
        except Refused as refused:
            return Refused(UNREACHABLE, f"{refused.status}: {refused.reason}")
        if status >= 500 or status == 429:
            return Refused(UNREACHABLE, f"http_{status}")
        is_there = 200 <= status < 300  # where there is none, all is allowed
        text = data.decode("utf-8-sig", "replace") if is_there else ""
        with self._connection:
            values = (origin, time.time(), text)
            self._connection.execute("replace into hosts values (?, ?, ?)", values)
        return Protego.parse(text)
