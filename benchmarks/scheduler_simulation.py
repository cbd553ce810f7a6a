"""The scheduler core alone, driven at full speed: how many decisions a second, and does one cost more in a larger cluster?

    python benchmarks/scheduler_simulation.py [--tasks 1000000] [--executors 100 1000 10000] [--cores 4] [--batch 4]
                                              [--shapes map jobs] [--repeat 3] [--json FILE]

One decision is one task: its launch and its accepted end together. The simulated executors keep their slots busy, finish tasks in
launch order and report `--batch` ends at a time; the time spent in them is not counted, only the time inside `Scheduler.step`.
Shapes: `map` (one result stage), `shuffle` (a map stage and a result stage that reads it), `located` (every partition prefers an
executor), `short` (tasks of 0.1 ms, so that executors hold queues), `jobs` (one-task jobs, 1,000 at a time).
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from array import array
from collections import deque
from time import perf_counter
from typing import Any

from quiver.scheduler.core import Scheduler
from quiver.scheduler.model import (
    ExecutorRegistered,
    JobEndedBadly,
    JobSpec,
    JobSubmitted,
    JobSucceeded,
    Launch,
    Policy,
    Preference,
    SchedulerEvent,
    StageSpec,
    TasksReported,
)
from quiver_proto.ids import ExecutorId, JobId, NodeId, ShuffleId, StageId
from quiver_proto.messages import MapOutput, TaskDone, TaskMetrics

SHAPES = ("map", "shuffle", "located", "short", "jobs")


class Cluster:
    """Executors that do nothing but finish what they are given, and a clock that counts only the scheduler's own time."""

    def __init__(self, executors: int, cores: int, batch: int, run_s: float) -> None:
        self.scheduler = Scheduler(Policy())
        self.batch = batch
        self.metrics = TaskMetrics(run_s=run_s)
        self.sizes = array("Q", [1]).tobytes()
        self.cores = cores
        self.held: dict[ExecutorId, deque[tuple[int, int]]] = {}
        self.ready: deque[ExecutorId] = deque()
        self.seconds = 0.0
        self.launched = 0
        self.launches = 0
        self.ended_jobs = 0
        self.now = 0.0
        self.maps: set[int] = set()
        for index in range(executors):
            executor_id = ExecutorId(f"bench/{index}")
            self.held[executor_id] = deque()
            self.step(ExecutorRegistered(executor_id, self.node(index), cores))
        self.seconds = 0.0

    def node(self, index: int) -> NodeId:
        return NodeId(f"node-{index // 4}")

    def step(self, event: SchedulerEvent) -> None:
        self.now += 1e-6
        start = perf_counter()
        actions = self.scheduler.step(event, self.now)
        self.seconds += perf_counter() - start
        for action in actions:
            if type(action) is Launch:
                held = self.held[action.executor_id]
                if not held:
                    self.ready.append(action.executor_id)
                is_map = action.stage_id in self.maps
                held.extend((task_id, partition if is_map else -1) for task_id, partition in zip(action.task_ids, action.partitions))
                self.launched += len(action.task_ids)
                self.launches += 1
            elif type(action) is JobSucceeded:
                self.ended_jobs += 1
            elif type(action) is JobEndedBadly:
                sys.exit(f"a job ended badly: {action}")

    def report_next(self) -> bool:
        """The next executor in turn reports a batch of ends; False when none holds anything."""
        if not self.ready:
            return False
        executor_id = self.ready.popleft()
        held = self.held[executor_id]
        done = []
        for _ in range(min(self.batch, len(held))):
            task_id, partition = held.popleft()
            output = None
            if partition >= 0:
                output = MapOutput(partition, task_id, NodeId("node-0"), executor_id, "path", self.sizes, 1)
            done.append(TaskDone(task_id, 0, 0.0, self.metrics, None if output else b"", None, output))
        if held:
            self.ready.append(executor_id)
        self.step(TasksReported(executor_id, done))
        return True

    def drain(self) -> None:
        while self.report_next():
            pass


def plan(shape: str, tasks: int, executors: int, cluster: Cluster) -> None:
    """Run the shape to its end."""
    if shape == "jobs":
        submitted = 0
        while cluster.ended_jobs < tasks:
            while submitted < tasks and submitted - cluster.ended_jobs < 1000:
                spec = StageSpec(StageId(submitted), "submit at bench.py:1", 1)
                cluster.step(JobSubmitted(JobSpec(JobId(submitted), (spec,))))
                submitted += 1
            cluster.report_next()
        return
    if shape == "shuffle":
        half = tasks // 2
        cluster.maps.add(0)
        stages = (
            StageSpec(StageId(0), "map at bench.py:1", half, shuffle_id=ShuffleId(0)),
            StageSpec(StageId(1), "reduce at bench.py:2", tasks - half, (StageId(0),), (ShuffleId(0),)),
        )
    else:
        preferred = {}
        if shape == "located":
            places = [(Preference(cluster.node(i), ExecutorId(f"bench/{i}")),) for i in range(executors)]
            preferred = {partition: places[partition % executors] for partition in range(tasks)}
        stages = (StageSpec(StageId(0), "map at bench.py:1", tasks, preferred=preferred),)
    cluster.step(JobSubmitted(JobSpec(JobId(0), stages)))
    cluster.drain()
    if cluster.ended_jobs != 1:
        sys.exit("the job did not end")


def measure(shape: str, tasks: int, executors: int, cores: int, batch: int) -> dict[str, Any]:
    gc.collect()
    cluster = Cluster(executors, cores, batch, 1e-4 if shape == "short" else 1.0)
    plan(shape, tasks, executors, cluster)
    if cluster.launched != tasks:
        sys.exit(f"{cluster.launched} tasks were launched for {tasks}")
    return {
        "shape": shape,
        "tasks": tasks,
        "executors": executors,
        "cores": cores,
        "batch": batch,
        "seconds": round(cluster.seconds, 3),
        "decisions_per_s": round(tasks / cluster.seconds),
        "us_per_decision": round(cluster.seconds / tasks * 1e6, 2),
        "tasks_per_launch": round(tasks / cluster.launches, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("--executors", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--cores", type=int, default=4)
    parser.add_argument("--batch", type=int, default=4, help="task ends per report")
    parser.add_argument(
        "--repeat", type=int, default=1, help="measure each row this often and keep the best, for a machine that is not quiet"
    )
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--json", help="append one JSON line per row to this file; - prints them")
    options = parser.parse_args()
    print(f"{'shape':<8} {'tasks':>9} {'executors':>9} {'batch':>5} {'tasks/launch':>12} {'s':>7} {'decisions/s':>12} {'µs/decision':>11}")
    for shape in options.shapes:
        for executors in options.executors:
            rows = [measure(shape, options.tasks, executors, options.cores, options.batch) for _ in range(options.repeat)]
            row = max(rows, key=lambda row: row["decisions_per_s"])
            print(
                f"{shape:<8} {row['tasks']:>9,} {executors:>9,} {options.batch:>5} {row['tasks_per_launch']:>12} {row['seconds']:>7} "
                f"{row['decisions_per_s']:>12,} {row['us_per_decision']:>11}",
                flush=True,
            )
            if options.json == "-":
                print(json.dumps(row))
            elif options.json:
                with open(options.json, "a") as lines:
                    lines.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
