"""What a server says about an image beside the image: when to come again, and not to take it."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from multidict import CIMultiDictProxy

_AGENTS = ("*", "memtriggers")
_OPT_OUTS = ("noai", "noimageai", "noindex", "noimageindex", "none")
_WITH_VALUE = ("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview")

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


def is_opted_out(headers: Headers) -> bool:
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
