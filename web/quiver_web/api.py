"""The REST API under `/api/v1`: the same paths and parameters as Spark's monitoring API, for what this UI shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import JSONResponse

from quiver_proto import __version__
from quiver_web import rest
from quiver_web.fold import State
from quiver_web.model import Job, Stage, StageAttempt
from quiver_web.query import MAX_LENGTH, TaskQuery, select

_SORTS = {"ID": "id", "RUNTIME": "duration", "INCREASING_RUNTIME": "duration", "DECREASING_RUNTIME": "-duration"}
_TASK_STATUSES = {"RUNNING": "running", "SUCCESS": "succeeded", "SUCCEEDED": "succeeded", "FAILED": "failed", "KILLED": "killed"}
_DEFAULT_QUANTILES = "0.05,0.25,0.5,0.75,0.95"


def router(current: Callable[[], State], now: Callable[[], float]) -> APIRouter:
    """Handlers are coroutines without a pause in them, so that each sees one state."""
    api = APIRouter(prefix="/api/v1", default_response_class=JSONResponse)

    def of(application_id: str) -> State:
        state = current()
        if state.application.application_id != application_id:
            raise HTTPException(404, f"no application {application_id} here")
        return state

    def job_of(application_id: str, job_id: int) -> Job:
        job = of(application_id).jobs.get(job_id)
        if job is None:
            raise HTTPException(404, f"no job {job_id}")
        return job

    def stage_of(application_id: str, stage_id: int) -> Stage:
        stage = of(application_id).stages.get(stage_id)
        if stage is None:
            raise HTTPException(404, f"no stage {stage_id}")
        return stage

    def attempt_of(application_id: str, stage_id: int, attempt_id: int) -> StageAttempt:
        attempt = stage_of(application_id, stage_id).attempts.get(attempt_id)
        if attempt is None:
            raise HTTPException(404, f"no attempt {attempt_id} of stage {stage_id}")
        return attempt

    @api.get("/version")
    async def version() -> JSONResponse:
        return JSONResponse({"quiver": __version__})

    @api.get("/applications")
    async def applications(status: str = "", limit: int | None = None) -> JSONResponse:
        state = current()
        known = bool(state.application.application_id)
        if known and (not status or status.lower() == ("completed" if state.ended else "running")) and limit != 0:
            return JSONResponse([rest.application(state, now())])
        return JSONResponse([])

    @api.get("/applications/{application_id}")
    async def application(application_id: str) -> JSONResponse:
        return JSONResponse(rest.application(of(application_id), now()))

    @api.get("/applications/{application_id}/jobs")
    async def jobs(application_id: str, status: Annotated[list[str] | None, Query()] = None) -> JSONResponse:
        wanted = {text.upper() for text in status or ()}
        found = [rest.job(job) for job in reversed(of(application_id).jobs.values())]
        return JSONResponse([job for job in found if not wanted or job["status"] in wanted])

    @api.get("/applications/{application_id}/jobs/{job_id}")
    async def job(application_id: str, job_id: int) -> JSONResponse:
        return JSONResponse(rest.job(job_of(application_id, job_id)))

    @api.get("/applications/{application_id}/stages")
    async def stages(application_id: str, status: Annotated[list[str] | None, Query()] = None) -> JSONResponse:
        return JSONResponse(rest.stages(of(application_id), [text.upper() for text in status or ()]))

    @api.get("/applications/{application_id}/stages/{stage_id}")
    async def stage(application_id: str, stage_id: int) -> JSONResponse:
        found = stage_of(application_id, stage_id)
        return JSONResponse([rest.stage_attempt(found, attempt) for attempt in found.attempts.values()])

    @api.get("/applications/{application_id}/stages/{stage_id}/{attempt_id}")
    async def stage_attempt(application_id: str, stage_id: int, attempt_id: int) -> JSONResponse:
        attempt = attempt_of(application_id, stage_id, attempt_id)
        return JSONResponse(rest.stage_attempt(stage_of(application_id, stage_id), attempt))

    @api.get("/applications/{application_id}/stages/{stage_id}/{attempt_id}/taskSummary")
    async def task_summary(application_id: str, stage_id: int, attempt_id: int, quantiles: str = _DEFAULT_QUANTILES) -> JSONResponse:
        try:
            wanted = [float(text) for text in quantiles.split(",")]
        except ValueError:
            raise HTTPException(400, f"quantiles={quantiles!r}: not numbers separated by commas, such as {_DEFAULT_QUANTILES}") from None
        if not all(0 <= q <= 1 for q in wanted) or len(wanted) > 100:
            raise HTTPException(400, f"quantiles={quantiles!r}: at most 100 numbers from 0 to 1")
        return JSONResponse(rest.task_summary(attempt_of(application_id, stage_id, attempt_id), wanted))

    @api.get("/applications/{application_id}/stages/{stage_id}/{attempt_id}/taskList")
    async def task_list(
        application_id: str,
        stage_id: int,
        attempt_id: int,
        offset: Annotated[int, Query(ge=0)] = 0,
        length: Annotated[int, Query(ge=1, le=MAX_LENGTH)] = 20,
        sortBy: str = "ID",
        status: str = "",
    ) -> JSONResponse:
        sort = _SORTS.get(sortBy.lstrip("-").upper())
        wanted = _TASK_STATUSES.get(status.upper(), "") if status else ""
        if sort is None or (status and not wanted):
            raise HTTPException(400, f"sortBy is one of {', '.join(_SORTS)} (with - for descending), status of {', '.join(_TASK_STATUSES)}")
        attempt = attempt_of(application_id, stage_id, attempt_id)
        descending = sort.startswith("-") or sortBy.startswith("-")
        page = select(attempt.tasks, TaskQuery(offset, length, sort.removeprefix("-"), descending, wanted), now())
        if page.query.offset != offset:
            return JSONResponse([])
        executors = of(application_id).executors
        return JSONResponse([rest.task(view, view.partition, executors) for view in page.tasks])

    @api.get("/applications/{application_id}/executors")
    async def executors(application_id: str) -> JSONResponse:
        state = of(application_id)
        alive = [executor for executor in state.executors.values() if executor.alive]
        return JSONResponse([rest.executor(executor, state.storage.on(executor.executor_id)) for executor in alive])

    @api.get("/applications/{application_id}/allexecutors")
    async def all_executors(application_id: str) -> JSONResponse:
        state = of(application_id)
        return JSONResponse([rest.executor(executor, state.storage.on(executor.executor_id)) for executor in state.executors.values()])

    @api.get("/applications/{application_id}/sql")
    async def queries(
        application_id: str,
        details: bool = True,
        planDescription: bool = True,
        offset: Annotated[int, Query(ge=0)] = 0,
        length: Annotated[int, Query(ge=1, le=MAX_LENGTH)] = 20,
    ) -> JSONResponse:
        state = of(application_id)
        found = list(state.queries.by_id.values())[offset : offset + length]
        return JSONResponse([rest.query(query, state, now(), details, planDescription) for query in found])

    @api.get("/applications/{application_id}/sql/{query_id}")
    async def query(application_id: str, query_id: int, details: bool = True, planDescription: bool = True) -> JSONResponse:
        state = of(application_id)
        found = state.queries.by_id.get(query_id)
        if found is None:
            raise HTTPException(404, f"no query {query_id}")
        return JSONResponse(rest.query(found, state, now(), details, planDescription))

    @api.get("/applications/{application_id}/storage/rdd")
    async def datasets(application_id: str) -> JSONResponse:
        state = of(application_id)
        return JSONResponse([rest.dataset(dataset, state, False) for dataset in state.storage.datasets.values() if dataset.partitions])

    @api.get("/applications/{application_id}/storage/rdd/{dataset_id}")
    async def dataset(application_id: str, dataset_id: int) -> JSONResponse:
        state = of(application_id)
        found = state.storage.datasets.get(dataset_id)
        if found is None:
            raise HTTPException(404, f"no RDD {dataset_id} is persisted")
        return JSONResponse(rest.dataset(found, state, True))

    @api.get("/applications/{application_id}/environment")
    async def environment(application_id: str) -> JSONResponse:
        return JSONResponse(rest.environment(of(application_id)))

    return api
