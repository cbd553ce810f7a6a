"""What the web tests share: logs, folded or on disk, and requests to the app without sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import httpx

from quiver_proto import events as e
from quiver_web.fold import Limits, State
from quiver_web.guard import Guard

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
