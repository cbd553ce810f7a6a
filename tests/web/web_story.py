"""A short log, told event by event, that tests bend to their needs."""

from __future__ import annotations

from collections.abc import Sequence

from quiver_proto import events as e
from quiver_proto.messages import TaskMetrics

APP = "app-20261121-063545-1a2b3c"
E0, E1 = f"{APP}/0", f"{APP}/1"
PROPERTIES = {"spark.x": "1", "my.password": "pw"}
MAP = e.StageInfo(0, "reduceByKey at a.py:3", 4, (), (("textFile", "a.py:1"), ("map", "a.py:2"), ("reduceByKey", "a.py:3")), 0)
RESULT = e.StageInfo(1, "collect at a.py:5", 2, (0,), (("ShuffledRDD", "a.py:3"), ("collect", "a.py:5")))
NEXT = e.StageInfo(2, "count at a.py:7", 2, (0,), (("count", "a.py:7"),))


def started(at: float = 1000.0) -> list[e.Event]:
    return [
        e.ApplicationStarted(
            at, APP, "story", "ada", "local[2]", "0.1.0", 1, "nowhere", {"spark.x": "1", "my.password": "pw"}, {"python": "3"}
        ),
        e.ExecutorAdded(at, E0, "node-a-1", "host-a", 2, 1 << 30, 11, "/logs/0"),
        e.ExecutorAdded(at, E1, "node-b-2", "host-b", 2, 1 << 30, 12, "/logs/1"),
    ]


def job(at: float = 1001.0, job_id: int = 0, stages: Sequence[e.StageInfo] = (MAP, RESULT)) -> e.JobStarted:
    return e.JobStarted(at, job_id, stages[-1].name, "a.py:5", stages)


def launched(
    at: float, stage: int, ids: Sequence[int], partitions: Sequence[int], executor: str = E0, attempt: int = 0, tries: int = 0
) -> e.Event:
    return e.TasksLaunched(at, stage, attempt, executor, ids, partitions, [tries] * len(ids))


def succeeded(at: float, stage: int, ids: Sequence[int], partitions: Sequence[int], executor: str = E0, attempt: int = 0) -> e.Event:
    rows = [
        TaskMetrics(
            run_s=0.5, cpu_s=0.4, gc_s=0.01, input_bytes=100, input_records=10, shuffle_write_bytes=50, peak_memory_bytes=7 + task_id
        )
        for task_id in ids
    ]
    return e.TasksSucceeded(at, stage, attempt, executor, ids, partitions, [at - 0.5] * len(ids), [0] * len(ids), rows)


def failed(at: float, stage: int, task_id: int, partition: int, executor: str = E0, kind: str = "user", attempt: int = 0) -> e.Event:
    return e.TaskFailed(
        at, stage, attempt, executor, task_id, partition, 0, at - 0.25, kind, "bad <record>", "ValueError: bad <record>\n  at a.py:2"
    )


def whole() -> list[e.Event]:
    """Two jobs: the first with a failed task, the second skips the map stage."""
    return [
        *started(),
        job(),
        e.StageStarted(1001, 0, 0, 4),
        launched(1001, 0, [0, 1], [0, 1]),
        launched(1001, 0, [2, 3], [2, 3], E1),
        succeeded(1002, 0, [0, 1], [0, 1]),
        failed(1002, 0, 2, 2, E1),
        succeeded(1002, 0, [3], [3], E1),
        launched(1002, 0, [4], [2], tries=1),
        succeeded(1003, 0, [4], [2]),
        e.StageEnded(1003, 0, 0, "succeeded"),
        e.StageStarted(1003, 1, 0, 2),
        launched(1003, 1, [5, 6], [0, 1]),
        succeeded(1004, 1, [5, 6], [0, 1]),
        e.StageEnded(1004, 1, 0, "succeeded"),
        e.JobEnded(1004, 0, "succeeded"),
        job(1005, 1, (MAP, NEXT)),
        e.StageSkipped(1005, 1, 0),
        e.StageStarted(1005, 2, 0, 2),
        launched(1005, 2, [7, 8], [0, 1]),
        succeeded(1006, 2, [7, 8], [0, 1]),
        e.StageEnded(1006, 2, 0, "succeeded"),
        e.JobEnded(1006, 1, "succeeded"),
        e.ExecutorSampled(1006, E0, 1 << 20, 0, 0),
        e.DatasetPersisted(1006, 3, "points", 2, "Memory Serialized 1x Replicated"),
        e.BlocksUpdated(1006, E0, [3, 3], [0, 1], [1000, 2000], [0, 0]),
        e.ShuffleRemoved(1006, 0),
        e.ApplicationEnded(1007),
    ]
