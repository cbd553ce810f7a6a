"""What an application did in all, from its event log."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from quiver_proto import events as e
from quiver_proto.messages import TaskMetrics
from quiver_proto.units import format_bytes, format_seconds


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of what succeeded; seconds from the first job's start to the last one's end; bytes."""

    jobs: int
    stages: int
    tasks: int
    failed_tasks: int
    seconds: float
    read_bytes: int
    shuffled_bytes: int

    def __str__(self) -> str:
        text = (
            f"{format_seconds(self.seconds)}, {self.stages} stages, {self.tasks:,} tasks, "
            f"{format_bytes(self.read_bytes)} read, {format_bytes(self.shuffled_bytes)} shuffled"
        )
        return text + (f", {self.failed_tasks} failed attempts" if self.failed_tasks else "")


def tally(lines: Iterable[str]) -> Tally:
    """Add up a log. A last line that was cut off is left out; ValueError for any other that is not JSON."""
    started: list[float] = []
    ended: list[float] = []
    stages: set[int] = set()
    tasks = failed = read = shuffled = 0
    for line in lines:
        if not line.endswith("\n"):
            break
        match e.decode(line):
            case e.JobStarted(at=at):
                started.append(at)
            case e.JobEnded(at=at):
                ended.append(at)
            case e.StageEnded(stage_id=stage_id, status="succeeded"):
                stages.add(stage_id)
            case e.TaskFailed():
                failed += 1
            case e.TasksSucceeded() as batch:
                tasks += len(batch.task_ids)
                for row in batch.metrics:
                    metrics = TaskMetrics._make(row)
                    read += int(metrics.input_bytes)
                    shuffled += int(metrics.shuffle_write_bytes)
            case _:
                pass
    seconds = max(ended) - min(started) if started and ended else 0.0
    return Tally(len(started), len(stages), tasks, failed, seconds, read, shuffled)
