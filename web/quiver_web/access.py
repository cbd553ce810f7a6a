"""Who may see a page: one decision, deny by default. Pure; `guard` asks it about every request.

A request passes when all of this holds: it only reads; its Host is one we are known by (so that another site's name that was
pointed at our address gets nowhere); it does not come from another site's page, save for a person following a link; it
carries the token, as cookie or bearer. The token in a URL only buys the cookie.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
TOKEN_PARAMETER = "token"


@dataclass(frozen=True, slots=True)
class Request:
    """The facts that decide. `headers` have lower-case names; `path` is as the server sees it, without the query."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Allow:
    pass


@dataclass(frozen=True, slots=True)
class Deny:
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Login:
    """The URL held the token: set the cookie, then show `location`, the same page without the token, relative to the request.

    `by_page`: the way there must start from a page of ours, because a browser that comes from another site would not send the
    new cookie along a redirect.
    """

    location: str
    by_page: bool


Decision = Allow | Deny | Login


@dataclass(frozen=True, slots=True)
class Access:
    """`hosts` are further names by which the UI may be reached, without port; `cookie` the name of our cookie."""

    token: str
    hosts: frozenset[str] = frozenset()
    cookie: str = "quiver"

    def __post_init__(self) -> None:
        if len(self.token) < 16:
            raise ValueError("the UI's token must have at least 16 characters")

    def decide(self, request: Request) -> Decision:
        if request.method not in ("GET", "HEAD"):
            return Deny(405, "only GET is answered here")
        host = request.headers.get("host", "")
        name = _host_name(host)
        if name is None or (name not in LOOPBACK_NAMES and name not in self.hosts):
            return Deny(403, "this UI is not known by that host name")
        if not self._same_origin(request, host):
            return Deny(403, "requests from other sites are refused")
        parameters = parse_qsl(request.query, keep_blank_values=True)
        given = [value for key, value in parameters if key == TOKEN_PARAMETER]
        if given:
            if not all(self._is_token(value) for value in given):
                return Deny(401, "the token in this URL is not this UI's")
            rest = urlencode([(key, value) for key, value in parameters if key != TOKEN_PARAMETER])
            location = "./" + quote(request.path.rpartition("/")[2], safe="") + (f"?{rest}" if rest else "")
            return Login(location, request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"))
        if self._is_token(self._bearer(request)) or self._is_token(self._cookie(request)):
            return Allow()
        return Deny(401, "a token is needed")

    def _same_origin(self, request: Request, host: str) -> bool:
        origin = request.headers.get("origin")
        if origin is not None and _site(origin) != host.lower():
            return False
        site = request.headers.get("sec-fetch-site", "none")
        if site in ("none", "same-origin"):
            return True
        # A person follows a link on another site: the page opens on its own, and that site can't look into it.
        return request.headers.get("sec-fetch-mode") == "navigate" and request.headers.get("sec-fetch-dest") == "document"

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(errors="replace"), self.token.encode())

    def _bearer(self, request: Request) -> str:
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        return value.strip() if scheme.lower() == "bearer" else ""

    def _cookie(self, request: Request) -> str:
        try:
            morsel = SimpleCookie(request.headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return ""
        return morsel.value if morsel is not None else ""


def _site(origin: str) -> str | None:
    """Host and port of an Origin header, lower-case; None when it is no address."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _host_name(host: str) -> str | None:
    """The name in a Host header, lower-case, without port and brackets; None when it is none."""
    if "@" in host:
        return None
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
