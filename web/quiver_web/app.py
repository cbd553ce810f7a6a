"""The web application: pages, REST and static files behind one guard."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from quiver_web import api, pages
from quiver_web.access import Access
from quiver_web.guard import Guard
from quiver_web.pages import Renderer
from quiver_web.tail import Follower


def create_app(
    follower: Follower, access: Access, alive: Callable[[], bool] = lambda: True, clock: Callable[[], float] = time.time
) -> Guard:
    """The ASGI application. While it runs, it follows the log. `alive`: does the driver still write it?"""

    @contextlib.asynccontextmanager
    async def following(_app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(follower.run())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        follower.close()

    app = FastAPI(title="Quiver", lifespan=following, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    render = Renderer(follower, alive, clock)

    @app.get("/health")
    async def health() -> JSONResponse:
        state = follower.state
        return JSONResponse({"status": "ok", "application": state.application.application_id, "events": state.version})

    app.include_router(api.router(lambda: follower.state, render.now))
    app.include_router(pages.router(render))
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")

    async def failed(request: Request, error: Exception) -> Response:
        status, detail = 400, "The request's parameters can't be understood."
        if isinstance(error, HTTPException):
            status, detail = error.status_code, str(error.detail)
        path = request.url.path.removeprefix(request.scope.get("root_path", ""))
        if path.startswith(("/api/", "/static/")):
            return JSONResponse({"error": detail}, status)
        return render.page(request, "error.html", max(path.count("/") - 1, 0), status, title=detail)

    app.add_exception_handler(HTTPException, failed)
    app.add_exception_handler(RequestValidationError, failed)
    # Outermost, so that nothing is served, not even an error, that it has not let pass.
    return Guard(app, access)
