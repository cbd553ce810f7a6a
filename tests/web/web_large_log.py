"""Writes an event log such as a busy application leaves: `python tests/web/web_large_log.py FILE [--unfinished]`.

Two jobs, twenty stages, ten thousand tasks on four executors of two nodes; failures, a lost executor, a skipped stage, spills.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator
from pathlib import Path

from quiver_proto import events as e
from quiver_proto.messages import TaskMetrics

APPLICATION = "app-20261121-063545-1a2b3c"
START = 1_795_242_945.0
TRACEBACK = """ValueError: could not convert string to float: 'n/a'
Traceback (most recent call last):
  File "wordcount.py", line 31, in parse
    return float(text)
           ^^^^^^^^^^^
ValueError: could not convert string to float: 'n/a'
in map (wordcount.py:31), partition {partition}, record 1408"""
_OPERATORS = ("map", "filter", "flatMap", "mapValues", "mapPartitions", "keyBy")


def application(start: float = START) -> Iterator[e.Event]:
    yield e.ApplicationStarted(
        start, APPLICATION, "word count & join", "ada", "local-cluster[2,2,1g]", "0.1.0", 4711, "laptop",
        {"spark.app.name": "word count & join", "spark.executor.memory": "1g", "quiver.auth.secret": "hunter2-hunter2",
         "spark.hadoop.fs.url": "s3://ada:letmein@store/bucket", "spark.ui.port": "4040"},
        {"python": "3.11.7", "pyarrow": "24.0.0", "platform": "Linux-6.1"},
    )  # fmt: skip
    for number in range(4):
        node = f"node-host{number // 2}-5e6f7a"
        yield e.ExecutorAdded(
            start + 0.2, f"{APPLICATION}/{number}", node, f"host{number // 2}", 2, 1 << 30, 5000 + number,
            f"/var/lib/quiver/{node}/{APPLICATION}/{number}/logs",
        )  # fmt: skip


def _stage(stage_id: int, width: int, parents: tuple[int, ...], random_: random.Random, result: bool) -> e.StageInfo:
    operators = [("textFile", "wordcount.py:12")] if not parents else [("ShuffledRDD", "wordcount.py:20")]
    operators += [(random_.choice(_OPERATORS), f"wordcount.py:{20 + stage_id + i}") for i in range(random_.randint(1, 4))]
    last = "collect" if result else random_.choice(("reduceByKey", "join", "groupByKey", "sortByKey"))
    return e.StageInfo(
        stage_id, f"{last} at wordcount.py:{30 + stage_id}", width, parents, [*operators, (last, f"wordcount.py:{30 + stage_id}")],
        None if result else stage_id,
    )  # fmt: skip


def jobs(seed: int = 1) -> tuple[list[e.StageInfo], list[e.StageInfo]]:
    """The stages of both jobs; the second uses two stages of the first again."""
    r = random.Random(seed)
    first = [_stage(i, 500, (), r, False) for i in range(4)]
    first += [_stage(i, 500, (i - 4, (i - 3) % 4), r, False) for i in range(4, 8)]
    first += [_stage(8, 500, (4, 5), r, False), _stage(9, 500, (6, 7, 8), r, True)]
    second = [first[0], first[4]]
    second += [_stage(i, 520, (4,) if i < 12 else (i - 2,), r, False) for i in range(10, 19)]
    second += [_stage(19, 320, (17, 18), r, True)]
    return first, second


class Writer:
    """Events of running stages, as a driver would log them; time passes as they come."""

    def __init__(self, start: float, seed: int = 2) -> None:
        self.now = start
        self.random = random.Random(seed)
        self.next_task = 0

    def stage(self, info: e.StageInfo, failures: int = 0, stop_after: int | None = None) -> Iterator[e.Event]:
        """One attempt over all partitions; unfinished when `stop_after` partitions are done."""
        r = self.random
        yield e.StageStarted(self.now, info.stage_id, 0, info.width)
        done = 0
        todo = [(partition, 0) for partition in range(info.width)]
        failing = set(r.sample(range(info.width), min(failures, info.width)))
        while todo:
            batch, todo = todo[:16], todo[16:]
            executor = f"{APPLICATION}/{r.randrange(4)}"
            ids = list(range(self.next_task, self.next_task + len(batch)))
            self.next_task += len(batch)
            yield e.TasksLaunched(self.now, info.stage_id, 0, executor, ids, [p for p, _ in batch], [a for _, a in batch])
            if stop_after is not None and done >= stop_after:
                return
            started = self.now
            self.now += r.uniform(0.05, 0.2)
            good = [(task_id, p) for task_id, (p, a) in zip(ids, batch, strict=True) if p not in failing or a]
            rows = [self._metrics(info) for _ in good]
            yield e.TasksSucceeded(
                self.now, info.stage_id, 0, executor, [t for t, _ in good], [p for _, p in good],
                [started + r.uniform(0, 0.01) for _ in good], [r.randrange(2) for _ in good], rows,
            )  # fmt: skip
            done += len(good)
            for task_id, (partition, attempt) in zip(ids, batch, strict=True):
                if partition in failing and not attempt:
                    yield e.TaskFailed(
                        self.now, info.stage_id, 0, executor, task_id, partition, attempt, started, "user",
                        "could not convert string to float: 'n/a'", TRACEBACK.format(partition=partition),
                    )  # fmt: skip
                    todo.append((partition, 1))
            if r.random() < 0.1:
                yield e.ExecutorSampled(self.now, executor, r.randrange(100 << 20, 400 << 20), 2, 14)
        yield e.StageEnded(self.now, info.stage_id, 0, "succeeded")

    def _metrics(self, info: e.StageInfo) -> TaskMetrics:
        r = self.random
        run_s = min(r.lognormvariate(-4, 0.8), 3)
        size = r.randrange(200_000, 900_000)
        return TaskMetrics(
            run_s=run_s, cpu_s=run_s * 0.9, deserialize_s=0.001, gc_s=run_s * 0.02 if r.random() < 0.3 else 0.0,
            result_bytes=0 if info.shuffle_id is not None else 900, input_bytes=0 if info.parents else size,
            input_records=0 if info.parents else size // 40, shuffle_read_local_bytes=size // 3 if info.parents else 0,
            shuffle_read_remote_bytes=size // 4 if info.parents else 0, shuffle_read_records=size // 50 if info.parents else 0,
            shuffle_write_bytes=size // 2 if info.shuffle_id is not None else 0,
            shuffle_write_records=size // 60 if info.shuffle_id is not None else 0,
            spilled_bytes=1 << 24 if r.random() < 0.03 else 0, peak_memory_bytes=r.randrange(30 << 20, 90 << 20),
        )  # fmt: skip


def log(finished: bool = True, start: float = START) -> Iterator[e.Event]:
    yield from application(start)
    first, second = jobs()
    writer = Writer(start + 1)
    yield e.JobStarted(writer.now, 0, "collect at wordcount.py:39", "wordcount.py:39", first)
    for info in first:
        yield from writer.stage(info, failures=info.stage_id % 3 * 2)
    yield e.JobEnded(writer.now, 0, "succeeded")
    yield e.ExecutorRemoved(writer.now, f"{APPLICATION}/3", "killed by signal 9 (SIGKILL)\nthe kernel's OOM killer ended it at 1.0 GiB")
    yield e.JobStarted(writer.now, 1, "collect at wordcount.py:49", "wordcount.py:49", second, "nightly", "the nightly report")
    yield e.StageSkipped(writer.now, 1, 0)
    yield e.StageSkipped(writer.now, 1, 4)
    for info in second[2:]:
        if not finished and info.stage_id == 15:
            yield from writer.stage(info, failures=40, stop_after=330)
            yield e.Waiting(writer.now, 1, 15, "2 of 4 cores are taken by another application; the manager has no other node")
            return
        yield from writer.stage(info, failures=info.stage_id % 3)
    yield e.JobEnded(writer.now, 1, "succeeded")
    yield e.ApplicationEnded(writer.now + 0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--unfinished", action="store_true")
    given = parser.parse_args()
    start = time.time() - 100 if given.unfinished else START
    given.file.write_text("".join(e.encode(event) + "\n" for event in log(not given.unfinished, start)))


if __name__ == "__main__":
    main()
