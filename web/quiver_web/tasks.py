"""The tasks of one stage attempt, in columns: about half a kilobyte each, so that a hundred thousand of them are no burden."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from quiver_web.metrics import COUNT, NAMES

MAX_ERROR_TEXTS = 1000
MAX_ERROR_LENGTH = 100_000


class TaskStatus(IntEnum):
    RUNNING = 0
    """Launched and not ended; it may still be queued at its executor."""
    SUCCEEDED = 1
    FAILED = 2
    KILLED = 3

    @property
    def label(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class TaskError:
    kind: str
    message: str
    text: str


@dataclass(frozen=True, slots=True)
class TaskView:
    """One attempt, as a page or the REST API shows it. Times are Unix seconds; `started_at` 0 while it is not known."""

    task_id: int
    partition: int
    attempt: int
    executor_id: str
    slot: int
    status: TaskStatus
    launched_at: float
    started_at: float
    duration_s: float
    metrics: dict[str, float]
    error: TaskError | None

    @property
    def shuffle_read_bytes(self) -> int:
        return int(self.metrics["shuffle_read_local_bytes"] + self.metrics["shuffle_read_remote_bytes"])


class TaskTable:
    """Columns by row number. Rows are added at launch, ended once, and dropped oldest first; `dropped` counts those."""

    def __init__(self) -> None:
        self._clear()
        self.dropped = 0
        self.dropped_errors = 0
        self.errors: dict[int, TaskError] = {}
        self._texts: dict[str, str] = {}

    def _clear(self) -> None:
        self.task_ids = array("q")
        self.partitions = array("q")
        self.attempts = array("l")
        self.executors: list[str] = []
        self.slots = array("l")
        self.statuses = bytearray()
        self.launched_at = array("d")
        self.started_at = array("d")
        self.ended_at = array("d")
        self.metrics = array("d")
        self._row_of: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.task_ids)

    def row_of(self, task_id: int) -> int | None:
        return self._row_of.get(task_id)

    def launch(self, task_id: int, partition: int, attempt: int, executor_id: str, at: float) -> int:
        """The row of the new attempt. The caller has asked `row_of` before."""
        row = self._row_of[task_id] = len(self.task_ids)
        self.task_ids.append(task_id)
        self.partitions.append(partition)
        self.attempts.append(attempt)
        self.executors.append(executor_id)
        self.slots.append(-1)
        self.statuses.append(TaskStatus.RUNNING)
        self.launched_at.append(at)
        self.started_at.append(0.0)
        self.ended_at.append(0.0)
        self.metrics.extend([0.0] * COUNT)
        return row

    def end(self, row: int, status: TaskStatus, slot: int, started_at: float, ended_at: float, metrics: Sequence[float] | None) -> None:
        self.statuses[row] = status
        self.slots[row] = slot
        self.started_at[row] = started_at
        self.ended_at[row] = ended_at
        if metrics is not None:
            self.metrics[row * COUNT : (row + 1) * COUNT] = array("d", metrics)

    def add_error(self, task_id: int, kind: str, message: str, text: str) -> None:
        """Equal texts are stored once; beyond MAX_ERROR_TEXTS different ones only the message is kept."""
        if len(text) > MAX_ERROR_LENGTH:
            half = MAX_ERROR_LENGTH // 2
            text = f"{text[:half]}\n[{len(text) - 2 * half:,} characters left out]\n{text[-half:]}"
        kept = self._texts.get(text)
        if kept is None:
            if len(self._texts) < MAX_ERROR_TEXTS:
                kept = self._texts[text] = text
            else:
                kept = ""
                self.dropped_errors += 1
        self.errors[task_id] = TaskError(kind, message[:1000], kept)

    def running_rows(self) -> list[int]:
        return [row for row, status in enumerate(self.statuses) if status == TaskStatus.RUNNING]

    def view(self, row: int, now: float) -> TaskView:
        """`now` (Unix seconds) decides how long a running task has taken."""
        status = TaskStatus(self.statuses[row])
        values = dict(zip(NAMES, self.metrics[row * COUNT : (row + 1) * COUNT], strict=True))
        return TaskView(
            self.task_ids[row],
            self.partitions[row],
            self.attempts[row],
            self.executors[row],
            self.slots[row],
            status,
            self.launched_at[row],
            self.started_at[row],
            self.duration_s(row, now),
            values,
            self.errors.get(self.task_ids[row]),
        )

    def duration_s(self, row: int, now: float) -> float:
        """What the executor measured; else from start (or launch) to end; while it runs: since it was launched."""
        run_s = self.metrics[row * COUNT]
        if run_s:
            return run_s
        since = self.started_at[row] or self.launched_at[row]
        return max((self.ended_at[row] or now) - since, 0.0)

    def column(self, index: int) -> array[float]:
        """Metric number `index` (see TaskMetrics) of every row."""
        return self.metrics[index::COUNT]

    def drop_oldest(self, count: int) -> int:
        """Forget up to `count` ended attempts, those launched first. Returns how many were forgotten."""
        ended = [row for row, status in enumerate(self.statuses) if status != TaskStatus.RUNNING][:count]
        gone = set(ended)
        self._keep(row for row in range(len(self)) if row not in gone)
        self.dropped += len(gone)
        return len(gone)

    def _keep(self, rows: Iterable[int]) -> None:
        kept = list(rows)
        integers = (self.task_ids, self.partitions, self.attempts, self.slots)
        times = (self.launched_at, self.started_at, self.ended_at)
        executors, statuses, metrics = self.executors, self.statuses, self.metrics
        self._clear()
        for old, new in zip(integers, (self.task_ids, self.partitions, self.attempts, self.slots), strict=True):
            new.extend([old[row] for row in kept])
        for before, after in zip(times, (self.launched_at, self.started_at, self.ended_at), strict=True):
            after.extend([before[row] for row in kept])
        self.executors = [executors[row] for row in kept]
        self.statuses = bytearray(statuses[row] for row in kept)
        for row in kept:
            self.metrics.extend(metrics[row * COUNT : (row + 1) * COUNT])
        self._row_of = {task_id: row for row, task_id in enumerate(self.task_ids)}
        self.errors = {task_id: error for task_id, error in self.errors.items() if task_id in self._row_of}
        self._texts = {error.text: error.text for error in self.errors.values()}
