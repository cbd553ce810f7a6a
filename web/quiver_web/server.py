"""The web process: sockets, the token, and uvicorn around the app."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import socket
import sys

import uvicorn

from quiver_proto.errors import BadSetting, PathNotFound, PathUnreadable, PortInUse
from quiver_web.access import Access
from quiver_web.app import create_app
from quiver_web.lifetime import Lifetime
from quiver_web.settings import WebSettings
from quiver_web.tail import Follower

_NICE = 5
"""The page gives way to the driver and its tasks."""


def serve(settings: WebSettings) -> int:
    """Until told to end. Raises PortInUse, PathNotFound, PathUnreadable, BadSetting before the first page is served."""
    _check_log(settings.log)
    token = _token(settings)
    listener = _listener(settings)
    port = listener.getsockname()[1]
    follower = Follower(settings.log)
    lifetime = Lifetime(settings.lifeline, settings.keep, lambda: follower.state)
    # Browsers send cookies to every port of a host, so the port is part of the name.
    hosts = settings.hosts if settings.host in ("0.0.0.0", "::") else settings.hosts | {settings.host.lower()}
    app = create_app(follower, Access(token, hosts, f"quiver-{port}"), lifetime.alive)
    if settings.token_fd is None and settings.token_file is None:
        print(f"http://{_in_url(settings.host)}:{port}/?token={token}", flush=True)
    if settings.fd is None:
        print("Ctrl-C ends it.", file=sys.stderr, flush=True)
    os.nice(_NICE)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="on",
        loop="asyncio",
        http="h11",
        ws="none",
        proxy_headers=False,
        server_header=False,
        root_path=settings.root_path,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)

    async def run() -> None:
        def end() -> None:
            server.should_exit = True

        watching = asyncio.create_task(lifetime.watch(end))
        await server.serve(sockets=[listener])
        watching.cancel()

    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        return 130
    return 0


def _check_log(path: str) -> None:
    try:
        with open(path, "rb"):
            pass
    except FileNotFoundError:
        raise PathNotFound(path, path) from None
    except OSError as problem:
        raise PathUnreadable(path, problem.strerror or str(problem)) from None


def _token(settings: WebSettings) -> str:
    if settings.token_fd is not None:
        with os.fdopen(settings.token_fd, "rb") as pipe:
            text = pipe.read().decode().strip()
        name = "--token-fd"
    elif settings.token_file is not None:
        try:
            with open(settings.token_file, encoding="utf-8") as file:
                text = file.read().strip()
        except OSError as problem:
            raise BadSetting("--token-file", settings.token_file, f"can't be read: {problem.strerror}") from None
        name = "--token-file"
    else:
        return secrets.token_urlsafe(24)
    if len(text) < 16:
        raise BadSetting(name, f"{len(text)} characters", "a token must have at least 16")
    return text


def _listener(settings: WebSettings) -> socket.socket:
    if settings.fd is not None:
        return socket.socket(fileno=settings.fd)
    listener = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(64)
    except OSError as problem:
        listener.close()
        if problem.errno == errno.EADDRINUSE:
            raise PortInUse(settings.host, settings.port) from None
        raise BadSetting("--host", f"{settings.host}:{settings.port}", f"can't be listened on: {problem.strerror}") from None
    return listener


def _in_url(host: str) -> str:
    host = "127.0.0.1" if host == "0.0.0.0" else "::1" if host == "::" else host
    return f"[{host}]" if ":" in host else host
