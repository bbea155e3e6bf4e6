"""Secrets in text: passwords in addresses, and keys, are taken out of whatever is shown or kept."""

import re
from urllib.parse import unquote

MASK = "***"
_SHORTEST = 6  # characters of a secret: "EMPTY" and "x" stand where a server wants no key at all
# Up to the last @ before the path. A password with a slash in it is no address, but shown as one.
_USER = re.compile(r"(?<=://)(?:[^/?#\s]*|[^/?#\s@:\[]+:(?!\d*(?:[/?#\s]|$))\S{0,256})@")


def mask(text: str, *secrets: str) -> str:
    """The text with `***` for the user and password of every address, and for each secret in it.

    Secrets of fewer than six characters are left alone: they are words of every text.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, MASK)
    return _USER.sub(f"{MASK}@", text)


def passwords_in(address: str) -> tuple[str, ...]:
    """The passwords of the addresses in a text, as they stand there and as a server reads them."""
    users = (user.removesuffix("@") for user in _USER.findall(address))
    passwords = [user.partition(":")[2] or user for user in users]
    return (*passwords, *map(unquote, passwords))
