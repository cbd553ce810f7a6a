"""The one middleware: every request is decided by `Access` before anything else sees it, and every answer gets our headers."""

from __future__ import annotations

import html
import json
from http.cookies import SimpleCookie
from typing import assert_never

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quiver_web.access import Access, Allow, Deny, Login, Request

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark"><title>Quiver</title>
{head}<h1>{title}</h1><p>{text}</p></html>"""


class Guard:
    """ASGI middleware, outermost. What is neither an HTTP request nor the server's own start and end is refused."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(SECURITY_HEADERS)
                headers["Cache-Control"] = "private, no-cache" if "/static/" in scope["path"] else "no-store"
            await send(message)

        request = _request(scope)
        match self._access.decide(request):
            case Allow():
                await self.app(scope, receive, send_with_headers)
            case Deny() as denied:
                await _denial(request, denied)(scope, receive, send_with_headers)
            case Login() as login:
                await self._welcome(login, scope)(scope, receive, send_with_headers)
            case other:
                assert_never(other)

    def _welcome(self, login: Login, scope: Scope) -> Response:
        if login.by_page:
            location = html.escape(login.location, quote=True)
            head = f'<meta http-equiv="refresh" content="0; url={location}">'
            response = Response(
                _PAGE.format(head=head, title="Quiver", text=f'<a href="{location}">Open the page</a>'), 200, media_type="text/html"
            )
        else:
            response = Response(status_code=303, headers={"Location": login.location})
        cookie: SimpleCookie = SimpleCookie()
        name = self._access.cookie
        cookie[name] = self._access.token
        cookie[name]["path"] = "/"
        cookie[name]["httponly"] = True
        cookie[name]["samesite"] = "Strict"
        if scope.get("scheme") == "https":
            cookie[name]["secure"] = True
        response.headers["Set-Cookie"] = cookie[name].OutputString()
        return response


def _request(scope: Scope) -> Request:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        # A header that decides and is given twice differently is neither of its values.
        separator = "; " if name == "cookie" else ","
        headers[name] = f"{headers[name]}{separator}{value}" if name in headers else value
    return Request(scope["method"], scope["path"], scope["query_string"].decode("latin-1"), headers)


def _denial(request: Request, denied: Deny) -> Response:
    headers = {"WWW-Authenticate": 'Bearer realm="quiver"'} if denied.status == 401 else {}
    if denied.status == 405:
        headers["Allow"] = "GET, HEAD"
    if "text/html" not in request.headers.get("accept", ""):
        return Response(json.dumps({"error": denied.reason}), denied.status, headers, "application/json")
    advice = (
        "Open the address that the program printed when it started; it ends with <code>?token=…</code>, and "
        "<code>Context.uiWebUrl</code> tells it again."
        if denied.status == 401
        else "Open it by the address that the program printed, or allow the name with <code>--allow-host</code>."
    )
    page = _PAGE.format(head="", title=html.escape(denied.reason.capitalize()) + ".", text=advice)
    return Response(page, denied.status, headers, "text/html")
