"""Queries as pages and programs see them: one for each action, with the jobs that it runs."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from quiver.plan.selection import DESCRIPTION, GROUP, JobSelection, tags_of
from quiver.sql.tree import relations as r
from quiver_proto.errors import JobCancelled
from quiver_proto.events import QueryEnded, QueryPlanned, QueryStarted
from quiver_proto.ids import JobId
from quiver_proto.messages import QUERY
from quiver_proto.ops import CallSite

if TYPE_CHECKING:
    from quiver.context import Context
    from quiver.plan.model import Driver, PlannedJob
    from quiver_proto.sessions import OperatorStatus

MOST_SQL = 5
"""Texts given to sql() that are told of one query."""
MOST_TEXT = 64 << 10
"""Characters of a plan or of a text that are told."""
RETAINED = 100
"""Relations whose last execution is known."""

_sessions = itertools.count(1)
_sql: weakref.WeakKeyDictionary[r.Relation, str] = weakref.WeakKeyDictionary()


def note_sql(relation: r.Relation, text: str) -> None:
    """Remember that sql(text) gave this relation, for as long as it lives."""
    _sql[relation] = text


def sql_of(relation: r.Relation) -> list[str]:
    """The texts given to sql() that are computed with it, outermost first."""
    if not _sql:
        return []
    found: dict[str, None] = {}
    pending = [relation]
    while pending and len(found) < MOST_SQL:
        top = pending.pop()
        text = _sql.get(top)
        if text is None:
            pending += reversed(top.inputs)
        else:
            found[_cut(text.strip())] = None
    return list(found)


class Execution:
    """One query that runs, or ran. `properties` are to be those of its jobs; its jobs are told of with `runs`. `tags`: the session's."""

    def __init__(self, query_id: int, properties: Mapping[str, str], tags: frozenset[str], driver: Driver) -> None:
        self.query_id = query_id
        self.properties = properties
        self.tags = tags
        self._driver = driver
        self._jobs: list[JobId] = []
        self._cancelled: str | None = None
        self.rows = -1
        """How many came out, as far as known."""
        self.stages: dict[int, int | None] = {}
        """Its stages, inputs first: the shuffle that each leaves, None for a result."""

    def cancel(self, reason: str) -> None:
        """End its jobs, and let it begin no other. By any thread."""
        self._cancelled = reason
        for job_id in list(self._jobs):
            self._driver.cancel(job_id, reason)

    def runs(self, job: PlannedJob) -> None:
        """The query begins this job. Raises JobCancelled."""
        # In this order: one of both threads sees what the other did.
        self._jobs.append(job.job_id)
        if self._cancelled is not None:
            raise JobCancelled(job.job_id, self._cancelled)
        self.stages.update((stage.spec.stage_id, stage.spec.shuffle_id) for stage in job.stages)

    def planned(self, analysed: Callable[[], str], logical: Callable[[], str], physical: Callable[[], str], where: str) -> None:
        """Tell pages how it is computed. The texts are made later, in another thread. A later call replaces what was told."""
        at = time.time()
        self._driver.record(lambda: QueryPlanned(at, self.query_id, _made(analysed), _made(logical), _made(physical), where))


class Executions:
    """Of one session."""

    def __init__(self, context: Context) -> None:
        self.tags_key = f"quiver.session.{next(_sessions)}.tags"
        """The local property that holds the tags of this session's queries: threads inherit it as they do others."""
        self._context = context
        self._lock = threading.Lock()
        self._running: dict[int, Execution] = {}
        context._watch_cancellations(self._jobs_cancelled)
        self._last: OrderedDict[r.Relation, Execution] = OrderedDict()

    @contextlib.contextmanager
    def begin(self, relation: r.Relation, call_site: CallSite) -> Iterator[Execution]:
        """One query, from here to the end of the block."""
        context = self._context
        record = context._driver.record
        properties = context._properties()
        query_id = context._planner.query_id()
        tags = frozenset(properties.get(self.tags_key, "").split(",")) - {""}
        execution = Execution(query_id, {**properties, QUERY: str(query_id)}, tags, context._driver)
        at = time.time()
        record(
            lambda: QueryStarted(
                at, query_id, call_site.operator, str(call_site), sql_of(relation),
                properties.get(GROUP, ""), properties.get(DESCRIPTION, ""), tags_of(properties),
            )
        )  # fmt: skip
        self._remember(relation, execution)
        status, error = "succeeded", ""
        self._running[query_id] = execution
        try:
            yield execution
        except (JobCancelled, KeyboardInterrupt) as problem:
            status, error = "cancelled", _told(problem)
            raise
        except BaseException as problem:
            status, error = "failed", _told(problem)
            raise
        finally:
            self._running.pop(query_id, None)
            ended, rows = time.time(), execution.rows
            record(lambda: QueryEnded(ended, query_id, status, rows, error))

    def interrupt(self, wanted: Callable[[Execution], bool], reason: str) -> list[str]:
        """Cancel those of the running queries that are wanted: their ids."""
        found = [execution for execution in list(self._running.values()) if wanted(execution)]
        for execution in found:
            execution.cancel(reason)
        return [str(execution.query_id) for execution in found]

    def _jobs_cancelled(self, selection: JobSelection, reason: str) -> None:
        # Between two jobs of a query there is none that the driver could end.
        self.interrupt(lambda execution: selection.concerns(execution.properties), reason)

    def last_of(self, relation: r.Relation) -> Execution | None:
        """The last execution that computed this relation, itself or as the input of an action's own (count, show), of the last RETAINED."""
        with self._lock:
            return self._last.get(relation)

    def operators(self, execution: Execution) -> list[OperatorStatus]:
        """What the operators of its stages have done, as far as the driver still knows."""
        return list(self._context._driver.status("operators", tuple(execution.stages)).operators) if execution.stages else []

    def _remember(self, relation: r.Relation, execution: Execution) -> None:
        with self._lock:
            for computed in (relation, *relation.inputs):
                self._last.pop(computed, None)
                self._last[computed] = execution
            while len(self._last) > RETAINED:
                self._last.popitem(last=False)


def _told(problem: BaseException) -> str:
    return _cut(f"{type(problem).__name__}: {problem}")


def _made(text: Callable[[], str]) -> str:
    try:
        return _cut(text().rstrip())
    except Exception as problem:  # A page is not worth a driver's thread.
        return f"(not known: {type(problem).__name__}: {problem})"


def _cut(text: str) -> str:
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}… ({len(text):,} characters)"
