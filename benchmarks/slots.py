"""What a task costs in an executor: no-op tasks through a Supervisor and its slots, and one task's round trip.

    python benchmarks/slots.py [--slots 2] [--tasks 10000] [--trips 5000]

Prints one JSON object a line. Times are from `Supervisor.handle` to `report` in the supervisor's own thread.
"""

from __future__ import annotations

import argparse
import json
import pickle
import statistics
import tempfile
import time
from collections.abc import Sequence

from quiver_executor.executor_config import ExecutorConfig
from quiver_executor.supervisor import Supervisor
from quiver_proto.frames import dump_value
from quiver_proto.ids import StageId, TaskId
from quiver_proto.loop import Loop
from quiver_proto.messages import AddStage, FromExecutor, LaunchTasks, TasksEnded
from quiver_proto.ops import Count, IntRange, StageBody

RUNS = 5


class Bench:
    """A supervisor whose loop runs until the tasks that it was given have ended."""

    def __init__(self, slots: int, directory: str) -> None:
        self.loop = Loop()
        config = ExecutorConfig(
            application_id="app-bench", executor_id="app-bench/0", node_id="localhost", cores=slots, memory_bytes=1 << 30,
            blocks_dir=f"{directory}/blocks", log_dir=f"{directory}/log", python_path=(), working_dir=None, hash_seed=0,
            block_server="", token="", echo_output=False,
        )  # fmt: skip
        self.supervisor = Supervisor(config, self.loop, self._report)
        self._missing = 0
        self._next = 0

    def run(self, tasks: int) -> float:
        """Seconds until all have ended."""
        ids = [TaskId(self._next + i) for i in range(tasks)]
        self._next += tasks
        launch = LaunchTasks(StageId(0), 0, ids, list(range(tasks)), [0] * tasks, [dump_value((0, 0, 1))] * tasks)
        self._missing = tasks
        begun = time.perf_counter()
        self.supervisor.handle(launch)
        self.loop.run()
        self.loop._stopped = False
        return time.perf_counter() - begun

    def _report(self, message: FromExecutor) -> None:
        if isinstance(message, TasksEnded):
            if message.failed:
                raise SystemExit(message.failed[0].message + "\n" + message.failed[0].traceback)
            self._missing -= len(message.done)
            if not self._missing:
                self.loop.stop()


def show(what: str, **values: float | int | str) -> None:
    print(json.dumps({"bench": what, **values}), flush=True)


def percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--trips", type=int, default=5_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(options.slots, directory)
        begun = time.perf_counter()
        bench.supervisor.start()
        started = time.perf_counter()
        bench.supervisor.handle(AddStage(StageId(0), 0, pickle.dumps(StageBody(Count(IntRange()))), {}, {}, {}))
        bench.run(1)
        show("slots.start", call_ms=(started - begun) * 1e3, first_result_ms=(time.perf_counter() - begun) * 1e3)
        bench.run(1000)
        seconds = min(bench.run(options.tasks) for _ in range(RUNS))
        show(
            "slots.noop_tasks",
            slots=options.slots,
            tasks=options.tasks,
            seconds=round(seconds, 4),
            tasks_per_s=round(options.tasks / seconds),
        )
        trips = [bench.run(1) * 1e6 for _ in range(options.trips)]
        show("slots.round_trip", trips=options.trips, p50_us=round(percentile(trips, 50), 1), p99_us=round(percentile(trips, 99), 1))
        begun = time.perf_counter()
        bench.supervisor.close()
        bench.loop.close()
        show("slots.close", ms=round((time.perf_counter() - begun) * 1e3, 1))


if __name__ == "__main__":
    main()
