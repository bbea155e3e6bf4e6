"""Who may ask: this machine alone, or who has the token; and what a page may do in the browser."""

import hashlib
import hmac
import ipaddress
import secrets
import socket
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_ANY = ("0.0.0.0", "::")
_LARGEST_POST = 32 * 2**20  # bytes: an image
_HEADERS = {
    # Nothing but what this server sends; no script or style within a page.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers send `Origin: null`
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# Not a redirect: where a link in a mail began it, a cookie that is SameSite=Strict stays behind.
_SIGNED_IN = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" '
    'content="0;url=/"><title>memtriggers</title><p><a href="/">Go on to the explorer</a></p>'
)


@dataclass
class Guard:
    """Refuses whatever is not for this server, by the name that it was asked under.

    Host names are checked against DNS rebinding, the origin of a POST against forms on other sites.
    """

    app: ASGIApp
    host: str
    token: str | None = field(default=None, repr=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            return
        refusal = self._refusal(scope["method"], Headers(scope=scope), scope)
        answer = refusal if refusal is not None else self.app

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await answer(scope, receive, send_with_headers)

    def _refusal(self, method: str, headers: Headers, scope: Scope) -> Response | None:
        host = headers.get("host", "")
        if not self._is_our_name(host):
            return _refuse(403, f"this server is not called {host[:100]!r}")
        if self.token is not None and not self._has_cookie(headers):
            given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
            if method != "GET" or not _is_same(given, self.token):
                return _refuse(401, "open the address with the token that `explore` printed")
            return self._sign_in()
        if method not in ("GET", "HEAD"):
            return _check_post(headers, host)
        return None

    def _is_our_name(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in (*LOOPBACK, self.host.lower()):
            return True
        if self.host not in _ANY:
            return False
        # By address no other site can pose as us; by name, only under this machine's own.
        return _is_address(name) or name in (socket.gethostname().lower(), socket.getfqdn().lower())

    def _has_cookie(self, headers: Headers) -> bool:
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return False
        name = cookie_name(self.token or "")
        return name in cookies and _is_same(cookies[name].value, self.token or "")

    def _sign_in(self) -> Response:
        response = HTMLResponse(_SIGNED_IN)
        token = self.token or ""
        response.set_cookie(cookie_name(token), token, httponly=True, samesite="strict")
        return response


def cookie_name(token: str) -> str:
    """A name for each token: browsers share cookies among all ports of a machine."""
    return f"memtriggers_{hashlib.sha256(token.encode()).hexdigest()[:8]}"


def make_token(host: str) -> str | None:
    """A random token where others can reach the server, None where only this machine can."""
    return None if host in LOOPBACK else secrets.token_urlsafe(32)


def _check_post(headers: Headers, host: str) -> Response | None:
    if headers.get("origin") != f"http://{host}":
        return _refuse(403, "a form of another site asked for this")
    length = headers.get("content-length", "")
    if not length.isdecimal():
        return _refuse(411, "say how long the request is")
    if int(length) > _LARGEST_POST:
        return _refuse(413, f"an image of more than {_LARGEST_POST // 2**20} MB")
    return None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


def _refuse(status: int, why: str) -> Response:
    return PlainTextResponse(f"refused: {why}\n", status)
