"""Queries of DataFrames and SQL as the log tells them. Pure, as the fold that feeds it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

from quiver_proto import events as e

QueryStatus = Literal["running", "succeeded", "failed", "cancelled"]


@dataclass(slots=True)
class Query:
    """One action. `rows` is how many came out, -1 when nobody counted; plans are text, "" while they are not known."""

    query_id: int
    name: str
    call_site: str
    sql: Sequence[str]
    group: str
    description: str
    tags: Sequence[str]
    started_at: float
    status: QueryStatus = "running"
    ended_at: float | None = None
    rows: int = -1
    error: str = ""
    analysed: str = ""
    logical: str = ""
    physical: str = ""
    where: str = ""
    job_ids: list[int] = field(default_factory=list)

    @property
    def title(self) -> str:
        """What lists call it: what the user said of it, else its SQL in one line, else the action and where it was called."""
        return self.description or " ".join(" ".join(self.sql[:1]).split()) or self.call_site or self.name


class Queries:
    """`by_id` in the order of their start, at most `limit` that have ended. `counts`: ended ones by status, dropped ones included."""

    def __init__(self, limit: int) -> None:
        self.by_id: dict[int, Query] = {}
        self.counts: Counter[str] = Counter()
        self.dropped = 0
        self._limit = limit
        self._newest_dropped = -1
        self._early: dict[int, list[int]] = {}
        """Jobs of queries that the log has not told of yet: another thread writes those."""

    def started(self, event: e.QueryStarted) -> None:
        if event.query_id in self.by_id or event.query_id <= self._newest_dropped:
            return
        query = Query(
            event.query_id, event.name, event.call_site, event.sql, event.group, event.description, event.tags, event.at,
            job_ids=self._early.pop(event.query_id, []),
        )  # fmt: skip
        self.by_id[event.query_id] = query
        if len(self.by_id) > self._limit:
            self._drop_oldest()

    def planned(self, event: e.QueryPlanned) -> None:
        query = self.by_id.get(event.query_id)
        if query is not None:
            query.analysed, query.logical, query.physical, query.where = event.analysed, event.logical, event.physical, event.where

    def ended(self, event: e.QueryEnded) -> None:
        query = self.by_id.get(event.query_id)
        if query is not None and query.status == "running":
            self._end(query, cast(QueryStatus, event.status), event.at, event.error)
            query.rows = event.rows

    def job_started(self, query_id: int, job_id: int) -> None:
        query = self.by_id.get(query_id)
        if query is not None:
            query.job_ids.append(job_id)
        elif query_id > self._newest_dropped:
            self._early.setdefault(query_id, []).append(job_id)
            if len(self._early) > self._limit:
                del self._early[next(iter(self._early))]

    def application_ended(self, at: float) -> None:
        for query in self.by_id.values():
            if query.status == "running":
                self._end(query, "failed", at, "the application ended")

    def _end(self, query: Query, status: QueryStatus, at: float, error: str) -> None:
        query.status, query.ended_at, query.error = status, at, error
        self.counts[status] += 1

    def _drop_oldest(self) -> None:
        oldest = next((query for query in self.by_id.values() if query.status != "running"), None)
        if oldest is not None:
            del self.by_id[oldest.query_id]
            self.dropped += 1
            self._newest_dropped = max(self._newest_dropped, oldest.query_id)
