"""Addresses as their source writes them: what a server is asked for is the source's bytes."""

import re
from functools import lru_cache
from urllib.parse import urljoin

from yarl import URL

from .rows import Refused

_AROUND = "".join(map(chr, range(0x21)))  # controls and the space: no address begins with one
_WITHIN = str.maketrans("", "", "\t\n\r")  # nor has these, as browsers read it
_AUTHORITY = re.compile(r"((?:[a-z][a-z0-9+.-]*:)?//)([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_NO_TARGET = re.compile(rb"[^!-~]")  # what cannot stand in a request


def address_of(text: str | None) -> URL:
    """The address that a url column names.

    No escape is read or written, for a signed address is another one then. Escaped are those
    characters alone that no request may hold: spaces, and what is not ASCII.

    Raises:
        Refused: invalid_url.

    """
    stripped = (text or "").strip(_AROUND)
    if not stripped:
        raise Refused("invalid_url", "null" if text is None else "empty")
    return _require_http(_as_written(stripped))


def redirected(url: URL, location: str) -> URL:
    """The address that `Location` names, from where it was said; raises Refused: invalid_url."""
    # Not by URL.join, which reads escapes.
    return _require_http(_as_written(urljoin(str(url), location.strip(_AROUND))))


def host_of(text: str | None) -> str | None:
    """The host of an address; None where it is none."""
    try:
        return address_of(text).host
    except (Refused, ValueError):
        return None


@lru_cache(maxsize=1 << 14)  # each is asked for its host, and somewhat later for itself
def _as_written(text: str) -> URL:
    text = text.translate(_WITHIN)
    parts = _AUTHORITY.fullmatch(text)
    if parts is None:
        return URL(_escaped(text), encoded=True)
    scheme, authority, target = parts.groups()
    if authority:  # a host's name is not asked for, but looked up
        try:
            authority = URL(f"http://{authority}").raw_authority
        except IndexError:  # yarl's, of "[]@"
            raise ValueError(f"no host in {authority!r}") from None
    return URL(scheme + authority + _escaped(target), encoded=True)


def _escaped(text: str) -> str:
    raw = text.encode("utf-8", "surrogateescape")  # a header may hold any bytes
    return _NO_TARGET.sub(lambda found: b"%%%02X" % found[0][0], raw).decode()


def _require_http(url: URL) -> URL:
    if url.scheme not in ("http", "https") or not url.host:
        raise Refused("invalid_url", f"{url}: neither http nor https")
    return url
