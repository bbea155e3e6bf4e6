"""What a server says about an image beside the image: when to come again, and not to take it."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from multidict import CIMultiDictProxy

from ..core.study import Fetch

_AGENTS = ("*", "memtriggers")
_OPT_OUTS = ("noai", "noimageai", "noindex", "noimageindex", "noml", "none")
_WITH_VALUE = ("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview")
_TRAINING = ("train-ai", "bots")  # of Content-Usage: the use that this is, and what includes it

Headers = CIMultiDictProxy[str]


def retry_after(headers: Headers) -> float | None:
    """Seconds that `Retry-After` asks to wait, a number or a date; None where it says neither."""
    text = headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, (moment - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):  # a zone of many hours, a year of twenty digits
        return None


def opt_out_of(headers: Headers, settings: Fetch) -> tuple[str, str] | None:
    """The status and the reason of an image that its server asks not to train on; None: it may be.

    Of the signals that the study heeds, the first.
    """
    if settings.opt_out and _asks_robots(headers):
        return "opted_out", _said(headers, "X-Robots-Tag")
    if settings.tdm_reservation and _reserves_rights(headers):
        return "opted_out_tdm", f"tdm-reservation: {_said(headers, 'tdm-reservation')}"
    if settings.content_usage and _denies_training(headers):
        return "opted_out_content_usage", f"Content-Usage: {_said(headers, 'Content-Usage')}"
    return None


def _said(headers: Headers, name: str) -> str:
    return ", ".join(headers.getall(name))


def _asks_robots(headers: Headers) -> bool:
    """Whether `X-Robots-Tag` asks everyone, or this program, not to use the image.

    A directive may be for one program alone, `googlebot: noindex`, and so are those behind it.
    """
    for line in headers.getall("X-Robots-Tag", ()):
        agent = "*"
        for part in line.lower().split(","):
            *before, directive = (word.strip() for word in part.split(":", 1))
            if before and before[0] not in _WITH_VALUE:
                agent = before[0]
            if agent in _AGENTS and directive in _OPT_OUTS:
                return True
    return False


def _reserves_rights(headers: Headers) -> bool:
    """Whether the rights of text and data mining are reserved (W3C's TDMRep)."""
    return any(value.strip() == "1" for value in headers.getall("tdm-reservation", ()))


def _denies_training(headers: Headers) -> bool:
    """Whether `Content-Usage` says n to training (IETF's AIPREF: a dictionary, the last counts)."""
    usage: dict[str, str] = {}
    for line in headers.getall("Content-Usage", ()):
        for member in line.lower().split(","):
            name, _, value = member.partition("=")
            usage[name.strip()] = value.partition(";")[0].strip()
    return next((usage[name] == "n" for name in _TRAINING if name in usage), False)
