"""Logs, folded or on disk, and an HTTP client that speaks to the app without sockets."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import httpx
import pytest

from quiver_proto import events as e
from quiver_web.access import Access
from quiver_web.app import create_app
from quiver_web.fold import Limits, State
from quiver_web.guard import Guard
from quiver_web.tail import Follower

sys.path.insert(0, str(Path(__file__).parent))

TOKEN = "a-token-of-good-length"
Get = Callable[..., httpx.Response]


def fold(events: Iterable[e.Event], limits: Limits | None = None) -> State:
    state = State(limits)
    for event in events:
        state.apply(event)
    return state


def write(path: Path, events: Iterable[e.Event]) -> Path:
    path.write_text("".join(e.encode(event) + "\n" for event in events))
    return path


def request(app: Guard, method: str, path: str, headers: Mapping[str, str], base: str = "http://localhost:4040") -> httpx.Response:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base) as client:
            return await client.request(method, path, headers=dict(headers))

    return asyncio.run(ask())


@pytest.fixture
def app_of(tmp_path: Path) -> Callable[[Iterable[e.Event]], Guard]:
    """The app over a log of these events, all read; its clock stands a minute after the last."""

    def make(events: Iterable[e.Event]) -> Guard:
        follower = Follower(str(write(tmp_path / "log.jsonl", events)))
        follower.catch_up()
        follower.close()
        return create_app(follower, Access(TOKEN), clock=lambda: follower.state.last_event_at + 60)

    return make


@pytest.fixture
def get_from(app_of: Callable[[Iterable[e.Event]], Guard]) -> Callable[[Iterable[e.Event]], Get]:
    """`get_from(events)(path)`: the answer to somebody who has the token."""

    def over(events: Iterable[e.Event]) -> Get:
        app = app_of(events)
        return lambda path, **headers: request(app, "GET", path, {"Authorization": f"Bearer {TOKEN}"} | headers)

    return over
