"""The pages. Each is rendered from the state as a whole, or, for its own script, as the fragment that changes."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jinja2
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from quiver_proto import __version__
from quiver_proto.units import format_bytes, format_seconds
from quiver_web import dag
from quiver_web.fold import State
from quiver_web.model import Job, Stage, StageAttempt
from quiver_web.operator_lines import lines_of
from quiver_web.query import PAGE_SIZES, TaskQuery, select
from quiver_web.redact import redacted
from quiver_web.summary import QUARTILES, Distribution
from quiver_web.tail import Follower
from quiver_web.tasks import TaskStatus

FRAGMENT_HEADER = "x-quiver-fragment"
ROWS = 50
_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Section:
    """One page of a long list. `parameter` is the name of its page number in the query string."""

    rows: Sequence[Any]
    total: int
    page: int
    pages: int
    parameter: str

    @classmethod
    def of(cls, rows: Sequence[Any], request: Request, parameter: str) -> Section:
        pages = max(-(-len(rows) // ROWS), 1)
        try:
            page = min(max(int(request.query_params.get(parameter, "1")), 1), pages)
        except ValueError:
            page = 1
        return cls(rows[(page - 1) * ROWS : page * ROWS], len(rows), page, pages, parameter)


class Renderer:
    """Templates and what every page needs. `alive` says whether the driver still writes the log, `clock` is Unix time."""

    def __init__(self, follower: Follower, alive: Callable[[], bool], clock: Callable[[], float]) -> None:
        self._follower = follower
        self._alive = alive
        self._clock = clock
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "bytes": _bytes,
            "seconds": _seconds,
            "time": _time,
            "query": urlencode,
            "count": _count,
            "extract_job": _job_of,
        }
        self._environment.globals |= {"ui_version": __version__, "asset_version": _asset_version()}

    @property
    def state(self) -> State:
        return self._follower.state

    @property
    def live(self) -> bool:
        return not self.state.ended and (self._alive() or not self._follower.caught_up)

    def now(self) -> float:
        """The clock while the application lives; then the time of its last event."""
        return self._clock() if self.live else self.state.last_event_at

    def _clock_text(self, at: float) -> str:
        """With the date only where it is not the day on which the application started."""
        text, start = _time(at), _time(self.state.application.started_at)
        return text[11:] if text[:10] == start[:10] else text

    def page(self, request: Request, template: str, depth: int, status: int = 200, **context: Any) -> Response:
        """`depth` is how many folders below the UI's root this page's URL is: all links are relative, so any prefix will do."""
        live = self.live
        text = self._environment.get_template(template).render(
            base="../" * depth or "./",
            fragment=FRAGMENT_HEADER in request.headers,
            state=self.state,
            app=self.state.application,
            live=live,
            now=self.now(),
            bad_lines=self._follower.lines.bad_lines,
            parameters=dict(request.query_params),
            TaskStatus=TaskStatus,
            clock=self._clock_text,
            **context,
        )
        headers = {
            "ETag": f'"{hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}"',
            "X-Quiver-Live": str(int(live)),
            "Vary": FRAGMENT_HEADER,
        }
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(text, status, headers, "text/html")


def router(render: Renderer) -> APIRouter:
    pages = APIRouter(default_response_class=Response)

    @pages.get("/")
    async def jobs(request: Request) -> Response:
        newest = list(reversed(render.state.jobs.values()))
        return render.page(
            request,
            "jobs.html",
            0,
            active=Section.of([job for job in newest if job.status == "running"], request, "active"),
            succeeded=Section.of([job for job in newest if job.status == "succeeded"], request, "completed"),
            failed=Section.of([job for job in newest if job.status in ("failed", "cancelled")], request, "failed"),
        )

    @pages.get("/jobs/{job_id}")
    async def job(request: Request, job_id: int) -> Response:
        found = render.state.jobs.get(job_id)
        if found is None:
            raise HTTPException(404, f"There is no job {job_id}, or it is no longer kept.")
        return render.page(request, "job.html", 1, job=found, picture=dag.draw(found), stages=_stages_of(render.state, found))

    @pages.get("/stages")
    async def stages(request: Request) -> Response:
        pairs = [*render.state.attempts()][::-1]
        return render.page(
            request,
            "stages.html",
            0,
            active=Section.of([pair for pair in pairs if pair[1].status == "active"], request, "active"),
            pending=Section.of(render.state.pending_stages(), request, "pending"),
            succeeded=Section.of([pair for pair in pairs if pair[1].status == "succeeded"], request, "completed"),
            failed=Section.of([pair for pair in pairs if pair[1].status in ("failed", "cancelled")], request, "failed"),
        )

    @pages.get("/stages/{stage_id}/{attempt_id}")
    async def stage(request: Request, stage_id: int, attempt_id: int) -> Response:
        found = render.state.stages.get(stage_id)
        attempt = None if found is None else found.attempts.get(attempt_id)
        if found is None or attempt is None:
            raise HTTPException(404, f"There is no attempt {attempt_id} of stage {stage_id}, or it is no longer kept.")
        query = TaskQuery.of_page(request.query_params)
        distribution = Distribution(attempt.tasks)
        return render.page(
            request,
            "stage.html",
            2,
            stage=found,
            attempt=attempt,
            page=select(attempt.tasks, query, render.now()),
            summary=_summary(distribution),
            summarised=len(distribution),
            sizes=PAGE_SIZES,
        )

    @pages.get("/executors")
    async def executors(request: Request) -> Response:
        everyone = list(render.state.executors.values())
        return render.page(
            request,
            "executors.html",
            0,
            alive=Section.of([executor for executor in everyone if executor.alive], request, "page"),
            dead=Section.of([executor for executor in reversed(everyone) if not executor.alive], request, "dead"),
        )

    @pages.get("/sql")
    async def queries(request: Request) -> Response:
        newest = list(reversed(render.state.queries.by_id.values()))
        return render.page(
            request,
            "queries.html",
            0,
            running=Section.of([query for query in newest if query.status == "running"], request, "running"),
            failed=Section.of([query for query in newest if query.status in ("failed", "cancelled")], request, "failed"),
            succeeded=Section.of([query for query in newest if query.status == "succeeded"], request, "completed"),
        )

    @pages.get("/sql/{query_id}")
    async def query(request: Request, query_id: int) -> Response:
        found = render.state.queries.by_id.get(query_id)
        if found is None:
            raise HTTPException(404, f"There is no query {query_id}, or it is no longer kept.")
        jobs = [job for job_id in found.job_ids if (job := render.state.jobs.get(job_id)) is not None]
        lines = lines_of(jobs, render.state.stages)
        times = [line.totals.compute_s for line in lines if line.totals is not None]
        stages = _stages_of_all(render.state, jobs)
        return render.page(
            request, "query.html", 1, query=found, jobs=jobs, lines=lines, compute_s=sum(times), longest_s=max(times, default=0.0),
            stages=stages, spilled=sum(line.totals.spilled_bytes for line in lines if line.totals is not None),
            scanned=sum(line.totals.scanned_bytes for line in lines if line.totals is not None),
        )  # fmt: skip

    @pages.get("/storage")
    async def storage(request: Request) -> Response:
        datasets = list(render.state.storage.datasets.values())
        return render.page(request, "storage.html", 0, datasets=Section.of(datasets, request, "page"))

    @pages.get("/storage/{dataset_id}")
    async def dataset(request: Request, dataset_id: int) -> Response:
        found = render.state.storage.datasets.get(dataset_id)
        if found is None:
            raise HTTPException(404, f"No RDD {dataset_id} is persisted (any more).")
        return render.page(
            request,
            "dataset.html",
            1,
            dataset=found,
            executors=Section.of(sorted(found.by_executor.items()), request, "executors"),
            partitions=Section.of(sorted(found.partitions.items()), request, "page"),
        )

    @pages.get("/environment")
    async def environment(request: Request) -> Response:
        app = render.state.application
        return render.page(
            request, "environment.html", 0, properties=redacted(app.properties), runtime=redacted(app.runtime)
        )  # fmt: skip

    return pages


def _job_of(job_id: int, state: State) -> Job | None:
    return state.jobs.get(job_id)


def _stages_of(state: State, job: Job) -> list[tuple[Any, Stage | None, StageAttempt | None]]:
    """(stage as the job sees it, the stage, the attempt to show), last first. A skipped stage shows the attempt that made it earlier."""
    rows = []
    for mine in reversed(job.stages.values()):
        stage = state.stages.get(mine.info.stage_id)
        attempt = None
        if stage is not None:
            attempt = stage.attempts.get(mine.attempt) if mine.attempt is not None else stage.last
        rows.append((mine, stage, attempt))
    return rows


def _stages_of_all(state: State, jobs: Sequence[Job]) -> list[tuple[Any, Stage | None, StageAttempt | None]]:
    """Each stage once, as the job saw it that made it; last first."""
    found: dict[int, tuple[Any, Stage | None, StageAttempt | None]] = {}
    for job in jobs:
        for row in _stages_of(state, job):
            if row[0].status != "skipped" or row[0].info.stage_id not in found:
                found[row[0].info.stage_id] = row
    return [found[stage_id] for stage_id in sorted(found, reverse=True)]


def _summary(distribution: Distribution) -> list[tuple[str, str, list[float]]]:
    """(label, unit, quartiles) of each metric that any task had; the duration always."""
    wanted = (
        ("Duration", "seconds", ("run_s",)),
        ("Garbage collection", "seconds", ("gc_s",)),
        ("Input", "bytes", ("input_bytes",)),
        ("Input records", "count", ("input_records",)),
        ("Shuffle read", "bytes", ("shuffle_read_local_bytes", "shuffle_read_remote_bytes")),
        ("Shuffle read records", "count", ("shuffle_read_records",)),
        ("Fetch wait", "seconds", ("fetch_wait_s",)),
        ("Shuffle write", "bytes", ("shuffle_write_bytes",)),
        ("Shuffle write records", "count", ("shuffle_write_records",)),
        ("Spilled", "bytes", ("spilled_bytes",)),
        ("Output", "bytes", ("output_bytes",)),
        ("Result", "bytes", ("result_bytes",)),
        ("Peak memory", "bytes", ("peak_memory_bytes",)),
    )
    rows = [(label, unit, distribution.of(QUARTILES, *names)) for label, unit, names in wanted]
    return [row for row in rows if row[0] == "Duration" or row[2][-1] > 0]


def _bytes(size: float) -> str:
    return format_bytes(size) if size else "–"


def _seconds(seconds: float) -> str:
    if seconds >= 0.001:
        return format_seconds(seconds)
    return f"{seconds * 1e6:.0f} µs" if seconds >= 1e-6 else "0"


def _count(number: float) -> str:
    return f"{int(number):,}"


def _time(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def _asset_version() -> str:
    digest = hashlib.blake2b(digest_size=6)
    for path in sorted((_HERE / "static").iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()
