"""The event log: what a driver appends while it runs, and all that pages, REST and history are derived from.

One JSON object a line, `{"event": "<class name>", "at": <Unix seconds>, ...fields}`, appended in order to
`<event dir>/<application id>.jsonl`. Fields are never removed or given another meaning; readers ignore what they don't know.
Task events come in columns (parallel lists), one line per batch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class ApplicationStarted:
    at: float
    application_id: str
    name: str
    user: str
    master: str
    version: str
    pid: int
    host: str
    properties: Mapping[str, str] = field(default_factory=dict)
    runtime: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ApplicationEnded:
    at: float


@dataclass(frozen=True, slots=True)
class ExecutorAdded:
    at: float
    executor_id: str
    node_id: str
    host: str
    cores: int
    memory_bytes: int
    pid: int
    log_dir: str = ""


@dataclass(frozen=True, slots=True)
class ExecutorRemoved:
    at: float
    executor_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class ExecutorSampled:
    """From heartbeats, at most one a second and executor."""

    at: float
    executor_id: str
    rss_bytes: int
    running_tasks: int
    queued_tasks: int


@dataclass(frozen=True, slots=True)
class StageInfo:
    """A stage as a job sees it. `operators` are (operator, "file.py:line"), source first; `datasets` their names, for the DAG picture."""

    stage_id: int
    name: str
    width: int
    parents: Sequence[int]
    operators: Sequence[Sequence[str]]
    shuffle_id: int | None = None


@dataclass(frozen=True, slots=True)
class JobStarted:
    """All stages of the job, parents first; those already computed are followed by StageSkipped."""

    at: float
    job_id: int
    name: str
    call_site: str
    stages: Sequence[StageInfo]
    group: str = ""
    description: str = ""
    tags: Sequence[str] = ()
    query_id: int = -1
    """The query of DataFrames or SQL that it belongs to."""


@dataclass(frozen=True, slots=True)
class JobEnded:
    """`status` is succeeded, failed or cancelled."""

    at: float
    job_id: int
    status: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class StageSkipped:
    at: float
    job_id: int
    stage_id: int


@dataclass(frozen=True, slots=True)
class StageStarted:
    """`tasks` is how many partitions this attempt runs (after a lost output: only the missing ones)."""

    at: float
    stage_id: int
    stage_attempt: int
    tasks: int


@dataclass(frozen=True, slots=True)
class StageEnded:
    """`status` is succeeded, failed or cancelled."""

    at: float
    stage_id: int
    stage_attempt: int
    status: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class TasksLaunched:
    at: float
    stage_id: int
    stage_attempt: int
    executor_id: str
    task_ids: Sequence[int]
    partitions: Sequence[int]
    attempts: Sequence[int]


@dataclass(frozen=True, slots=True)
class TasksSucceeded:
    """`metrics` are TaskMetrics rows as lists, in the field order of quiver_proto.messages.TaskMetrics."""

    at: float
    stage_id: int
    stage_attempt: int
    executor_id: str
    task_ids: Sequence[int]
    partitions: Sequence[int]
    started_at: Sequence[float]
    slots: Sequence[int]
    metrics: Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True)
class TaskFailed:
    """`kind` is a FailureKind value; `error` the full text for people, with traceback."""

    at: float
    stage_id: int
    stage_attempt: int
    executor_id: str
    task_id: int
    partition: int
    attempt: int
    started_at: float
    kind: str
    message: str
    error: str
    metrics: Sequence[float] = ()
    slot: int = -1


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a job or the application waits; `reason` empty: it no longer does."""

    at: float
    job_id: int | None
    stage_id: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class ShuffleRemoved:
    at: float
    shuffle_id: int


@dataclass(frozen=True, slots=True)
class AccumulatorsUpdated:
    """After a stage's updates were added: columns, one row an accumulator that the stage changed. `values` are their shortened reprs."""

    at: float
    stage_id: int
    ids: Sequence[int]
    types: Sequence[str]
    values: Sequence[str]


@dataclass(frozen=True, slots=True)
class DatasetPersisted:
    """A job uses a persisted dataset of `width` partitions for the first time, or with a new level (as text for people)."""

    at: float
    dataset_id: int
    name: str
    width: int
    level: str


@dataclass(frozen=True, slots=True)
class BlocksUpdated:
    """Cached partitions of an executor as they are now, in columns; no bytes at all: gone. What a dataset or executor that ends had is
    not listed."""

    at: float
    executor_id: str
    dataset_ids: Sequence[int]
    partitions: Sequence[int]
    memory_bytes: Sequence[int]
    disk_bytes: Sequence[int]


@dataclass(frozen=True, slots=True)
class DatasetUnpersisted:
    """Its blocks are dropped everywhere."""

    at: float
    dataset_id: int


@dataclass(frozen=True, slots=True)
class SkewDetected:
    """Of what this stage reads of shuffles, one partition has far more bytes than the median. Once per set of shuffles.

    `keys` are (shortened repr, at least how many records have it, their share of all records), heaviest first; of that partition.
    """

    at: float
    stage_id: int
    operator: str
    partition: int
    size_bytes: int
    median_bytes: int
    total_bytes: int
    partitions: int
    keys: Sequence[tuple[str, int, float]]
    remedy: str
    text: str


@dataclass(frozen=True, slots=True)
class QueryStarted:
    """An action of DataFrames or SQL began. `name` is the action, `sql` the texts given to sql() that it computes, outermost first."""

    at: float
    query_id: int
    name: str
    call_site: str
    sql: Sequence[str] = ()
    group: str = ""
    description: str = ""
    tags: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class QueryPlanned:
    """How it is computed, as text for people: our tree, the kernel's logical and physical plan, and where it runs.

    A later one replaces it.
    """

    at: float
    query_id: int
    analysed: str
    logical: str
    physical: str
    where: str


@dataclass(frozen=True, slots=True)
class QueryEnded:
    """`status` is succeeded, failed or cancelled; `rows` how many came out, -1 where nobody counted."""

    at: float
    query_id: int
    status: str
    rows: int = -1
    error: str = ""


@dataclass(frozen=True, slots=True)
class OperatorsMeasured:
    """What the operators of a stage's native fragments have done so far, in columns: see quiver_proto.operators.OperatorTotals.

    A later one of the same stage replaces it.
    """

    at: float
    stage_id: int
    trees: Sequence[int]
    depths: Sequence[int]
    names: Sequence[str]
    details: Sequence[str]
    shuffle_ids: Sequence[int]
    tasks: Sequence[int]
    rows: Sequence[int]
    compute_s: Sequence[float]
    longest_s: Sequence[float]
    spills: Sequence[int]
    spilled_bytes: Sequence[int]
    scanned_bytes: Sequence[int]


QueryEvent = QueryStarted | QueryPlanned | QueryEnded

Event = (
    ApplicationStarted | ApplicationEnded | ExecutorAdded | ExecutorRemoved | ExecutorSampled
    | JobStarted | JobEnded | StageSkipped | StageStarted | StageEnded
    | TasksLaunched | TasksSucceeded | TaskFailed | Waiting | ShuffleRemoved | AccumulatorsUpdated
    | DatasetPersisted | BlocksUpdated | DatasetUnpersisted | SkewDetected
    | QueryStarted | QueryPlanned | QueryEnded | OperatorsMeasured
)  # fmt: skip

_TYPES: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        ApplicationStarted, ApplicationEnded, ExecutorAdded, ExecutorRemoved, ExecutorSampled,
        JobStarted, JobEnded, StageSkipped, StageStarted, StageEnded,
        TasksLaunched, TasksSucceeded, TaskFailed, Waiting, ShuffleRemoved,
        AccumulatorsUpdated,
        DatasetPersisted, BlocksUpdated, DatasetUnpersisted, SkewDetected,
        QueryStarted, QueryPlanned, QueryEnded, OperatorsMeasured,
    )
}  # fmt: skip
_FIELDS = {kind: tuple(f.name for f in fields(kind)) for kind in _TYPES.values()}
_STAGE_FIELDS = tuple(f.name for f in fields(StageInfo))


def encode(event: Event) -> str:
    """One line of the log, without its line end."""
    record: dict[str, Any] = {"event": type(event).__name__}
    for name in _FIELDS[type(event)]:
        record[name] = getattr(event, name)
    if isinstance(event, JobStarted):
        record["stages"] = [{name: getattr(stage, name) for name in _STAGE_FIELDS} for stage in event.stages]
    return json.dumps(record, separators=(",", ":"), default=str)


def decode(line: str) -> Event | None:
    """The event on this line; None for an event that this version does not know. Unknown fields are ignored; ValueError if not JSON."""
    record = json.loads(line)
    kind = _TYPES.get(record.pop("event", ""))
    if kind is None:
        return None
    known = {name: value for name, value in record.items() if name in _FIELDS[kind]}
    if kind is JobStarted:
        known["stages"] = [StageInfo(**{k: v for k, v in stage.items() if k in _STAGE_FIELDS}) for stage in known["stages"]]
    event: Event = kind(**known)
    return event
