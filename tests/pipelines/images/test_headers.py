from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from memtriggers.pipelines.images.headers import is_opted_out, retry_after


def robots(*lines: str) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict(("x-robots-tag", line) for line in lines))


@pytest.mark.parametrize(
    "lines",
    [
        *(["noai"], ["NoImageAI"], ["noindex, nofollow"], ["nofollow, noimageindex"], ["none"]),
        *(["all", "noai"], ["memtriggers: noindex"], ["googlebot: noindex, memtriggers:noai"]),
        ["unavailable_after: 25 Jun 2010 15:00:00 PST, noai"],
    ],
)
def test_who_asks_not_to_use_it(lines: list[str]) -> None:
    assert is_opted_out(robots(*lines))


@pytest.mark.parametrize(
    "lines",
    [
        *([], [""], ["all"], ["nofollow"], ["noarchive, max-snippet: 5"], ["googlebot: noindex"]),
        *(["googlebot: nofollow, noindex"], ["unavailable_after: 25 Jun 2010 15:00:00 PST"]),
    ],
)
def test_who_does_not_ask_us(lines: list[str]) -> None:
    assert not is_opted_out(robots(*lines))


def test_when_to_come_again() -> None:
    def wait(text: str) -> float | None:
        return retry_after(CIMultiDictProxy(CIMultiDict({"Retry-After": text})))

    assert [wait(text) for text in ("7", "0", "", "soon", "-3")] == [7, 0, None, None, None]
    later = datetime.now(UTC) + timedelta(seconds=30)
    assert 28 < (wait(format_datetime(later, usegmt=True)) or 0) <= 30
    assert wait(format_datetime(later - timedelta(days=1), usegmt=True)) == 0
    assert retry_after(CIMultiDictProxy(CIMultiDict())) is None
    east = timezone(timedelta(hours=2))
    assert 28 < (wait(format_datetime(later.astimezone(east))) or 0) <= 30
    assert 28 < (wait(format_datetime(later.replace(tzinfo=None))) or 0) <= 30
    assert (wait("9" * 5000) or 0) > 1e300
    assert (wait("Fri, 31 Dec 9999 23:59:59 -2359") or 0) > 2e11
    for broken in ("99999999999999999999 23:59:59 GMT", "2049 23:59:59 +99999999999999999999"):
        assert wait(f"Fri, 31 Dec {broken}") is None
