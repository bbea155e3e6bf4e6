from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from memtriggers.pipelines.core.study import Fetch
from memtriggers.pipelines.images.headers import opt_out_of, retry_after


def headers(name: str, *lines: str) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict((name, line) for line in lines))


def robots(*lines: str) -> CIMultiDictProxy[str]:
    return headers("x-robots-tag", *lines)


@pytest.mark.parametrize(
    "lines",
    [
        *(["noai"], ["NoImageAI"], ["noindex, nofollow"], ["nofollow, noimageindex"], ["none"]),
        *(["noml"], ["nofollow, NoML"], ["memtriggers: noml"]),
        *(["all", "noai"], ["memtriggers: noindex"], ["googlebot: noindex, memtriggers:noai"]),
        ["unavailable_after: 25 Jun 2010 15:00:00 PST, noai"],
    ],
)
def test_who_asks_not_to_use_it(lines: list[str]) -> None:
    assert opt_out_of(robots(*lines), Fetch()) == ("opted_out", ", ".join(lines))
    assert opt_out_of(robots(*lines), Fetch(opt_out=False)) is None


@pytest.mark.parametrize(
    "lines",
    [
        *([], [""], ["all"], ["nofollow"], ["noarchive, max-snippet: 5"], ["googlebot: noindex"]),
        *(["googlebot: nofollow, noindex"], ["unavailable_after: 25 Jun 2010 15:00:00 PST"]),
    ],
)
def test_who_does_not_ask_us(lines: list[str]) -> None:
    assert opt_out_of(robots(*lines), Fetch()) is None


@pytest.mark.parametrize(
    ("lines", "is_reserved"),
    [
        *((["1"], True), ([" 1 "], True), (["0", "1"], True)),
        *((["0"], False), (["10"], False), ([""], False), ([], False)),
    ],
)
def test_who_reserves_the_rights_of_mining(lines: list[str], is_reserved: bool) -> None:
    found = opt_out_of(headers("TDM-Reservation", *lines), Fetch())
    assert (found is not None and found[0] == "opted_out_tdm") == is_reserved
    assert opt_out_of(headers("TDM-Reservation", *lines), Fetch(tdm_reservation=False)) is None


@pytest.mark.parametrize(
    ("lines", "is_denied"),
    [
        *((["train-ai=n"], True), (["search=y, Train-AI = n"], True), (["train-ai=n;x=1"], True)),
        *((["train-ai=y", "train-ai=n"], True), (["bots=n"], True)),
        *((["train-ai=n", "train-ai=y"], False), (["bots=n, train-ai=y"], False)),
        *((["train-ai=y"], False), (["search=n"], False), (["train-ai"], False), ([], False)),
    ],
)
def test_who_denies_training(lines: list[str], is_denied: bool) -> None:
    found = opt_out_of(headers("content-usage", *lines), Fetch())
    assert (found is not None and found[0] == "opted_out_content_usage") == is_denied
    assert opt_out_of(headers("content-usage", *lines), Fetch(content_usage=False)) is None


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
