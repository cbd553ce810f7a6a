"""A real supervisor with real slots, its loop in a thread of its own."""

from __future__ import annotations

import itertools
import os
import pickle
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from quiver_executor.executor_config import ExecutorConfig
from quiver_executor.supervisor import Supervisor
from quiver_proto.ids import StageId, TaskId
from quiver_proto.loop import Loop
from quiver_proto.messages import (
    AddStage,
    FromExecutor,
    LaunchTasks,
    TaskDone,
    TaskFailure,
    TasksEnded,
    ToExecutor,
)

HERE = str(Path(__file__).parent)
PATIENCE_S = 120.0


def config(directory: Path, cores: int = 2, **changes: Any) -> ExecutorConfig:
    values: dict[str, Any] = {
        "application_id": "app-test",
        "executor_id": "app-test/0",
        "node_id": "node-test",
        "cores": cores,
        "memory_bytes": 1 << 30,
        "blocks_dir": str(directory / "blocks"),
        "log_dir": str(directory / "log"),
        "python_path": (HERE,),
        "working_dir": None,
        "hash_seed": 7,
        "block_server": "",
        "token": "",
        "echo_output": False,
    }
    return ExecutorConfig(**(values | changes))


def eventually(condition: Callable[[], Any], what: str) -> Any:
    """Poll a condition about a real process; the value that made it true."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {PATIENCE_S} s: {what}"
        time.sleep(0.005)


def alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0]
    except (OSError, IndexError):
        return False
    return state not in "ZX"


def command_line(pid: int) -> bytes:
    """Empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


class Executor:
    """Drives a Supervisor from the test's thread."""

    def __init__(self, config: ExecutorConfig, body: str = "tiny_body", **limits: float) -> None:
        self.config = config
        self.reports: list[FromExecutor] = []
        self.ended: dict[int, list[TaskDone | TaskFailure]] = {}
        self._changed = threading.Condition()
        self._loop = Loop()
        self.supervisor = Supervisor(config, self._loop, self._report, body=body, **limits)
        self._task_ids = itertools.count(100)
        self._stage_ids = itertools.count(1)
        self._thread = threading.Thread(target=self._loop.run, daemon=True)
        self._loop.call_soon(self.supervisor.start)
        self._thread.start()
        self._closed = False

    def handle(self, *messages: ToExecutor) -> None:
        for message in messages:
            self._loop.call_soon(lambda message=message: self.supervisor.handle(message))

    def ask(self, question: Callable[[Supervisor], Any]) -> Any:
        """An answer from the loop's thread."""
        answer: list[Any] = []
        done = threading.Event()

        def run() -> None:
            answer.append(question(self.supervisor))
            done.set()

        self._loop.call_soon(run)
        assert done.wait(PATIENCE_S)
        return answer[0]

    def stage(self, source: str) -> int:
        """A stage whose tasks run `source` as a function of partition, attempt, split and env."""
        stage_id = next(self._stage_ids)
        self.handle(AddStage(StageId(stage_id), 0, source.encode(), {}, {}, {}))
        return stage_id

    def new_stage_id(self) -> int:
        return next(self._stage_ids)

    def new_task_ids(self, count: int) -> list[TaskId]:
        return [TaskId(next(self._task_ids)) for _ in range(count)]

    def launch(self, stage: int, tasks: int = 1, cores: int = 1, splits: Sequence[bytes] | None = None) -> list[TaskId]:
        ids = [TaskId(next(self._task_ids)) for _ in range(tasks)]
        self.handle(LaunchTasks(StageId(stage), 0, ids, list(range(tasks)), [0] * tasks, splits or [b""] * tasks, cores))
        return ids

    def ends(self, ids: Sequence[int]) -> list[TaskDone | TaskFailure]:
        """How these tasks ended, in their order; waits."""
        self.wait(lambda: all(i in self.ended for i in ids), f"tasks end: {[i for i in ids if i not in self.ended][:5]}")
        return [self.ended[i][0] for i in ids]

    def run(self, source: str, tasks: int = 1, **options: Any) -> list[TaskDone | TaskFailure]:
        return self.ends(self.launch(self.stage(source), tasks, **options))

    def results(self, source: str, tasks: int = 1, **options: Any) -> list[Any]:
        return [result(end) for end in self.run(source, tasks, **options)]

    def failure(self, source: str) -> TaskFailure:
        (end,) = self.run(source)
        assert isinstance(end, TaskFailure), end
        return end

    def wait(self, condition: Callable[[], Any], what: str) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE_S), f"not within {PATIENCE_S} s: {what}"

    def slot_pids(self) -> dict[int, int]:
        return self.ask(lambda supervisor: supervisor.slot_pids)

    def all_slots_ready(self) -> dict[int, int]:
        eventually(lambda: len(self.slot_pids()) == self.config.cores, "all slots are ready")
        return self.slot_pids()

    def template_pid(self) -> int:
        (pid,) = [pid for pid in children(os.getpid()) if b"quiver_executor.template" in command_line(pid)]
        return pid

    def log(self, name: str = "stdout") -> str:
        return (Path(self.config.log_dir) / name).read_text()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self.ask(lambda supervisor: supervisor.close())
            self._loop.stop()
            self._thread.join()
            self._loop.close()

    def _report(self, message: FromExecutor) -> None:
        with self._changed:
            self.reports.append(message)
            if isinstance(message, TasksEnded):
                for end in (*message.done, *message.failed):
                    self.ended.setdefault(end.task_id, []).append(end)
            self._changed.notify_all()


def result(end: TaskDone | TaskFailure) -> Any:
    assert isinstance(end, TaskDone), end
    assert end.result is not None
    return pickle.loads(end.result)


def children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found += [int(child) for child in (task / "children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            pass  # A thread that ended meanwhile: its children are another thread's now.
    return found
