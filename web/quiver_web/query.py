"""Which tasks of a stage attempt are shown: filtered, sorted and paged here, so that a page holds a hundred rows of a hundred thousand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from quiver_web.metrics import INDEX
from quiver_web.tasks import TaskStatus, TaskTable, TaskView

PAGE_SIZES = (25, 100, 500)
MAX_LENGTH = 1000


def _metric(*names: str) -> Callable[[TaskTable, float], Sequence[float]]:
    def values(table: TaskTable, _now: float) -> Sequence[float]:
        columns = [table.column(INDEX[name]) for name in names]
        return columns[0] if len(columns) == 1 else [sum(parts) for parts in zip(*columns, strict=True)]

    return values


def _durations(table: TaskTable, now: float) -> Sequence[float]:
    return [table.duration_s(row, now) for row in range(len(table))]


def _starts(table: TaskTable, _now: float) -> Sequence[float]:
    return [started or launched for started, launched in zip(table.started_at, table.launched_at, strict=True)]


SORTS: Mapping[str, Callable[[TaskTable, float], Sequence[Any]]] = {
    "id": lambda table, _: table.task_ids,
    "partition": lambda table, _: table.partitions,
    "attempt": lambda table, _: table.attempts,
    "status": lambda table, _: table.statuses,
    "executor": lambda table, _: table.executors,
    "slot": lambda table, _: table.slots,
    "start": _starts,
    "duration": _durations,
    "gc": _metric("gc_s"),
    "input": _metric("input_bytes"),
    "read": _metric("shuffle_read_local_bytes", "shuffle_read_remote_bytes"),
    "write": _metric("shuffle_write_bytes"),
    "spill": _metric("spilled_bytes"),
}


@dataclass(frozen=True, slots=True)
class TaskQuery:
    """`sort` is a key of SORTS; `status` a TaskStatus label, `executor` an executor's id, "" for all; `text` is looked for in errors."""

    offset: int = 0
    length: int = 100
    sort: str = "id"
    descending: bool = False
    status: str = ""
    executor: str = ""
    text: str = ""

    @classmethod
    def of_page(cls, parameters: Mapping[str, str]) -> TaskQuery:
        """From a page's query string. What makes no sense counts as not given."""
        length = _number(parameters.get("size"), 100)
        length = length if length in PAGE_SIZES else 100
        sort = parameters.get("sort", "id")
        key = sort.removeprefix("-")
        status = parameters.get("status", "")
        return cls(
            offset=max(_number(parameters.get("page"), 1) - 1, 0) * length,
            length=length,
            sort=key if key in SORTS else "id",
            descending=sort.startswith("-"),
            status=status if status in {s.label for s in TaskStatus} else "",
            executor=parameters.get("executor", ""),
            text=parameters.get("text", "")[:200],
        )

    def page_parameters(self, **changes: object) -> dict[str, str]:
        """The query string, as a dict, of the page that shows this query with some of its parameters changed. Defaults are left out."""
        sort = f"-{self.sort}" if self.descending else self.sort
        all_of_them = {
            "page": str(self.page), "size": str(self.length), "sort": sort, "status": self.status, "executor": self.executor,
            "text": self.text,
        } | {key: str(value) for key, value in changes.items()}  # fmt: skip
        defaults = {"page": "1", "size": "100", "sort": "id"}
        return {key: value for key, value in all_of_them.items() if value and value != defaults.get(key)}

    @property
    def page(self) -> int:
        return self.offset // self.length + 1


@dataclass(frozen=True, slots=True)
class TaskPage:
    """`total` counts the matching tasks; `query` is the one answered (its offset lies within them)."""

    query: TaskQuery
    tasks: list[TaskView]
    total: int

    @property
    def pages(self) -> int:
        return max(-(-self.total // self.query.length), 1)


def select(table: TaskTable, query: TaskQuery, now: float) -> TaskPage:
    """Equal keys keep the order of launch. An offset beyond the end is moved to the last page."""
    rows: Sequence[int] = range(len(table))
    if query.status:
        wanted = TaskStatus[query.status.upper()]
        rows = [row for row in rows if table.statuses[row] == wanted]
    if query.executor:
        rows = [row for row in rows if table.executors[row] == query.executor]
    if query.text:
        text = query.text.lower()
        hits = {task_id for task_id, error in table.errors.items() if text in f"{error.kind} {error.message} {error.text}".lower()}
        rows = [row for row in rows if table.task_ids[row] in hits]
    if query.sort != "id" or query.descending:
        keys = SORTS[query.sort](table, now)
        rows = sorted(rows, key=keys.__getitem__, reverse=query.descending)
    total = len(rows)
    if query.offset >= total:
        query = replace(query, offset=max(total - 1, 0) // query.length * query.length)
    shown = rows[query.offset : query.offset + query.length]
    return TaskPage(query, [table.view(row, now) for row in shown], total)


def _number(text: str | None, default: int) -> int:
    try:
        return int(text or default)
    except ValueError:
        return default
