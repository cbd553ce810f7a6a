"""Apps over logs, and a client that has the token."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from web_harness import TOKEN, Get, request, write

from quiver_proto import events as e
from quiver_web.access import Access
from quiver_web.app import create_app
from quiver_web.guard import Guard
from quiver_web.tail import Follower


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
