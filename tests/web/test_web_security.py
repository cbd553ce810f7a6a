"""Nothing is answered without the token, by another name, from another site, or to another verb."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import httpx
import pytest
import web_story as story
from fastapi import FastAPI
from starlette.routing import Mount
from web_harness import TOKEN, request

from quiver_proto import events as e
from quiver_web.access import Access, Allow, Deny, Login, Request
from quiver_web.guard import SECURITY_HEADERS, Guard

AppOf = Callable[[Iterable[e.Event]], Guard]
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
WRONG: list[dict[str, str]] = [
    {},
    {"Authorization": "Bearer wrong"},
    {"Authorization": f"Basic {TOKEN}"},
    {"Cookie": "quiver=wrong"},
    {"Cookie": f"other={TOKEN}"},
]
VALUES = {"application_id": story.APP, "job_id": "0", "stage_id": "0", "attempt_id": "0", "dataset_id": "3", "query_id": "7"}


def whole() -> list[e.Event]:
    """The story, and a query in it."""
    return [*story.whole(), e.QueryStarted(1001.0, 7, "collect", "collect at a.py:7", ["SELECT 1"], "", "", [])]


def every_path(guard: Guard) -> list[str]:
    """What the app's own description lists, and the mounted files."""
    app = guard.app
    assert isinstance(app, FastAPI)
    described = [re.sub(r"{(\w+)}", lambda match: VALUES[match[1]], path) for path in app.openapi()["paths"]]
    mounted = [f"{route.path}/{name}" for route in app.routes if isinstance(route, Mount) for name in ("quiver.css", "live.js", "icon.svg")]
    assert len(mounted) == 3
    return sorted([*described, *mounted])


def test_every_route_asks_for_the_token(app_of: AppOf) -> None:
    app = app_of(whole())
    found = every_path(app)
    assert len(found) >= 20
    assert "/" in found
    assert f"/api/v1/applications/{story.APP}/stages/0/0/taskList" in found
    for path in [*found, "/docs", "/openapi.json", "/redoc", "/nowhere", "/static/../app.py"]:
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Cookie": "quiver=wrong"},
            {"Authorization": f"Basic {TOKEN}"},
            {"Cookie": f"other={TOKEN}"},
        ):
            assert request(app, "GET", path, headers).status_code == 401, path
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
            assert request(app, method, path, AUTHORIZED).status_code == 405, path


def test_every_route_answers_with_the_token_and_our_headers(app_of: AppOf) -> None:
    app = app_of(whole())
    for path in every_path(app):
        for headers in (AUTHORIZED, {"Cookie": f"a=b; quiver={TOKEN}"}):
            response = request(app, "GET", path, headers)
            assert response.status_code == 200, path
            for name, value in SECURITY_HEADERS.items():
                assert response.headers[name] == value
    for path in ("/docs", "/openapi.json", "/redoc", "/static/", "/static/../app.py", "/static/%2e%2e/app.py"):
        assert request(app, "GET", path, AUTHORIZED).status_code == 404, path


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "127.0.0.2", "[::1", "localhost,evil"]
)
def test_other_names_are_refused(app_of: AppOf, host: str) -> None:
    assert request(app_of(whole()), "GET", "/", AUTHORIZED | {"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:4040", "127.0.0.1:4040", "[::1]:4040"])
def test_loopback_names_are_known(app_of: AppOf, host: str) -> None:
    assert request(app_of(whole()), "GET", "/", AUTHORIZED | {"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:8888"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    ],
)
def test_other_sites_are_refused(app_of: AppOf, headers: dict[str, str]) -> None:
    app = app_of(whole())
    for path in every_path(app):
        assert request(app, "GET", path, AUTHORIZED | headers).status_code == 403, path


def test_our_own_pages_and_followed_links_are_not() -> None:
    access = Access(TOKEN)
    for headers in (
        {"origin": "http://localhost:4040"},
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none", "sec-fetch-mode": "navigate"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
    ):
        base = {"host": "localhost:4040", "authorization": f"bearer {TOKEN}"}
        assert access.decide(Request("GET", "/", "", base | headers)) == Allow()


def cookie_of(response: httpx.Response) -> str:
    return response.headers["Set-Cookie"]


def test_the_url_with_the_token_sets_the_cookie_and_goes_to_a_clean_one(app_of: AppOf) -> None:
    app = app_of(whole())
    response = request(app, "GET", f"/stages/0/0?status=failed&token={TOKEN}&size=25", {"Sec-Fetch-Site": "none"})
    assert (response.status_code, response.headers["Location"]) == (303, "./0?status=failed&size=25")
    for part in (f"quiver={TOKEN}", "HttpOnly", "SameSite=Strict", "Path=/"):
        assert part in cookie_of(response)
    assert request(app, "GET", "/stages/0/0", {"Cookie": cookie_of(response).split(";")[0]}).status_code == 200
    assert request(app, "GET", f"/?token={TOKEN}", {}).headers["Location"] == "./"


def test_from_another_site_a_page_of_ours_leads_on(app_of: AppOf) -> None:
    """Redirects would keep the other site as initiator, and the browser the strict cookie back."""
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    response = request(app_of(whole()), "GET", f"/?token={TOKEN}", link)
    assert response.status_code == 200
    assert 'http-equiv="refresh" content="0; url=./"' in response.text
    assert TOKEN not in response.text


@pytest.mark.parametrize("query", ["token=wrong", "token=", f"token={TOKEN}&token=wrong", f"token={TOKEN}x", "token=%ff"])
def test_wrong_tokens_in_the_url_get_nothing(app_of: AppOf, query: str) -> None:
    response = request(app_of(whole()), "GET", f"/?{query}", AUTHORIZED)
    assert response.status_code == 401
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize("path", ["//evil.example/x", "/a/https://evil.example", "/%0d%0aSet-Cookie:x=y", "/\\evil.example", "/x?y"])
def test_the_way_on_never_leaves_this_ui(path: str) -> None:
    decision = Access(TOKEN).decide(Request("GET", path, f"token={TOKEN}", {"host": "localhost"}))
    assert isinstance(decision, Login)
    assert re.fullmatch(r"\./[\w.%~-]*", decision.location)


def test_people_are_told_where_the_token_is(app_of: AppOf) -> None:
    app = app_of(whole())
    page = request(app, "GET", "/", {"Accept": "text/html"})
    assert page.status_code == 401
    assert "?token=" in page.text
    assert page.headers["Content-Security-Policy"]
    assert request(app, "GET", "/", {"Accept": "application/json"}).json() == {"error": "a token is needed"}


def test_further_hosts_and_short_tokens() -> None:
    access = Access(TOKEN, frozenset({"ui.example"}))
    assert access.decide(Request("GET", "/", "", {"host": "ui.example:443", "authorization": f"Bearer {TOKEN}"})) == Allow()
    assert isinstance(access.decide(Request("GET", "/", "", {"host": "ui.example.com", "authorization": f"Bearer {TOKEN}"})), Deny)
    with pytest.raises(ValueError, match="16"):
        Access("short")


def test_no_page_holds_a_secret_or_unescaped_text(get_from: Callable[[Iterable[e.Event]], Callable[..., httpx.Response]]) -> None:
    get = get_from(whole())
    environment = get("/environment").text
    assert "(redacted)" in environment
    assert "pw" not in re.sub(r"<[^>]*>", "", environment)
    stage = get("/stages/0/0").text
    assert "bad &lt;record&gt;" in stage
    assert "<record>" not in stage
    assert not re.search(r"<script(?![^>]*src=)|\sstyle=|\son\w+=", stage)
