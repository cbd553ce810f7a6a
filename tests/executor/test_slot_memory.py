"""What a slot may hold, who ends when it is too much, and results that are not held."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from supervised import Executor, result

from quiver_executor import kernel_watch
from quiver_executor.collected_rows import CollectedRows
from quiver_executor.environment import SlotEnvironment
from quiver_executor.kernel_watch import Leftovers, holder, soft_limit, watched
from quiver_executor.slot_memory import hard_limit, outgrown, pause_s
from quiver_executor.task import Task
from quiver_proto.errors import SlotOutOfMemory, from_wire, to_wire
from quiver_proto.messages import QUERY, AddStage, FailureKind, LaunchTasks, OperatorMetrics, ResultBlock, TaskFailure

MB, GB = 1 << 20, 1 << 30


def test_the_slot_above_its_share_ends_when_all_hold_too_much() -> None:
    limit = hard_limit(4 * GB, 4)
    assert limit == 4 * GB + 4 * GB // 10
    assert outgrown({1: 2 * GB, 2: 2 * GB, 3: GB // 2}, GB // 8, {1: 1, 2: 1}, 4 * GB, 4) is None
    # Slot 2 has the cores, and so the memory, of three.
    assert outgrown({1: 2 * GB, 2: 3 * GB, 3: GB // 8}, GB // 8, {1: 1, 2: 3}, 4 * GB, 4) == 1
    # What all share with the template is there once.
    assert outgrown(dict.fromkeys(range(4), GB + GB // 4), GB // 4, dict.fromkeys(range(4), 1), 4 * GB, 4) is None
    # One without a task is not ended: it would not help a task.
    assert outgrown({1: 5 * GB, 2: GB}, 0, {2: 1}, 4 * GB, 4) == 2
    assert outgrown({1: 5 * GB}, 0, {}, 4 * GB, 4) is None
    assert hard_limit(MB, 2) == 2 * soft_limit(MB)  # What a process with the kernel in it needs anyway.


def test_what_is_near_its_limit_is_looked_at_more_often() -> None:
    assert pause_s(700 * MB, 1000 * MB, 0.025) == 0.025
    assert pause_s(800 * MB, 1000 * MB, 0.025) == pause_s(1200 * MB, 1000 * MB, 0.025) == 0.005


def test_who_holds_most() -> None:
    def operator(depth: int, name: str, rows: int, detail: str = "") -> OperatorMetrics:
        return OperatorMetrics(depth, name, detail, -1, rows, 0.0, 0, 0, 0)

    scan = operator(3, "DataSource", 5)
    assert (
        holder([operator(0, "Projection", 0), operator(1, "Aggregate", 0), operator(2, "WindowAgg", 0, "sum"), scan]) == "WindowAgg (sum)"
    )
    assert holder([operator(0, "HashJoin", 7), operator(1, "Aggregate", 7), scan]) == "HashJoin"
    assert holder([scan]) == ""


def test_work_that_grows_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = iter([100 * MB, 400 * MB, 1001 * MB, 1001 * MB])
    monkeypatch.setattr(kernel_watch, "own_bytes", lambda pid: next(sizes))
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async def run() -> None:
        await watched(asyncio.gather(work(), work()), 1024 * MB, tuple)

    with pytest.raises(SlotOutOfMemory, match=r"grew to 1001 MiB; of its executor's memory it has 1024 MiB") as raised:
        asyncio.run(run())
    assert ended == ["cancelled", "cancelled"]
    again = from_wire(*to_wire(raised.value))
    assert isinstance(again, SlotOutOfMemory)
    assert str(again) == str(raised.value)


def test_a_slot_whose_own_objects_are_too_large(start: Callable[..., Executor]) -> None:
    executor = start(cores=1, memory_bytes=64 * MB)
    grows = "import time\nheld = b'x' * (450 << 20)\nwhile True: time.sleep(0.01)"
    failures: list[TaskFailure] = []
    for kind, properties in ((FailureKind.SLOT_DIED, {}), (FailureKind.FATAL, {QUERY: "7"})):
        stage_id: Any = executor.new_stage_id()
        task_id: Any = 900 + stage_id
        executor.handle(AddStage(stage_id, 0, grows.encode(), {}, {}, properties))
        executor.handle(LaunchTasks(stage_id, 0, [task_id], [0], [0], [b""]))
        (end,) = executor.ends([task_id])
        assert isinstance(end, TaskFailure)
        assert (end.kind, end.exception_type) == (kind, "SlotOutOfMemory")
        assert end.metrics.peak_memory_bytes > 384 * MB
        failures.append(end)
    assert "cut the work into more partitions" in failures[0].message
    assert executor.results("return partition", 2) == [0, 1]


def test_what_tasks_leave_adds_up() -> None:
    left = Leftovers()
    assert not left.too_many(100 * MB, 400 * MB, GB)
    assert not left.too_many(400 * MB, 350 * MB, GB)
    assert not left.too_many(900 * MB, 900 * MB, GB), "what others have left is not counted"
    assert not left.too_many(350 * MB, 450 * MB, GB)
    assert left.too_many(450 * MB, 500 * MB, GB)
    assert not left.too_many(500 * MB, 500 * MB, 4 * GB)
    assert not Leftovers().too_many(0, 150 * MB, 64 * MB), "the kernel itself has to be loaded"


def test_tasks_after_one_that_leaves_much_have_another_process(start: Callable[..., Executor]) -> None:
    executor = start(cores=1)
    assert len(set(executor.results("import os\nreturn os.getpid()", 3))) == 1
    assert len(set(executor.results("import os\nreturn os.getpid()  # wears out", 3))) == 3
    assert executor.results("return partition", 2) == [0, 1]
    assert executor.results("import sys\nreturn 'datafusion' in sys.modules", 1) == [True]


def _task(folder: Path) -> Task:
    environment = SlotEnvironment("app", "app/0", "node", 0, str(folder / "blocks"), str(folder / "scratch"), 64 * MB)
    return Task(environment, (), (), None, {}, {}, 7, 0, 0)


def _batch(partition: int, number: int, rows: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"p": [partition] * rows, "n": [number] * rows, "s": ["x" * 1000] * rows})


def test_collected_rows_come_in_the_order_of_partitions(tmp_path: Path) -> None:
    task = _task(tmp_path)
    rows = CollectedRows(task, 3)
    for number in range(6):
        for partition in (2, 0, 1):
            if partition == 0 and number > 3:
                continue
            rows.add(partition, _batch(partition, number, 1200))
        if number == 3:
            rows.ended(0)
    rows.ended(2)
    rows.ended(1)
    result = rows.finish()
    assert isinstance(result, ResultBlock)
    assert task.spilled > 0
    with pa.OSFile(result.path) as file:
        assert file.size() == result.size
        table = pa.ipc.open_stream(file).read_all()
    pairs = list(dict.fromkeys(zip(table["p"].to_pylist(), table["n"].to_pylist(), strict=True)))
    assert pairs == [(0, n) for n in range(4)] + [(1, n) for n in range(6)] + [(2, n) for n in range(6)]
    assert table.num_rows == 16 * 1200
    task.close()


def test_small_results_stay_in_memory_and_failed_ones_leave_nothing(tmp_path: Path) -> None:
    task = _task(tmp_path)
    rows = CollectedRows(task, 2)
    rows.add(1, _batch(1, 0, 2))
    rows.add(0, _batch(0, 0, 0))
    result = rows.finish()
    assert isinstance(result, bytes)
    assert pa.ipc.open_stream(result).read_all()["p"].to_pylist() == [1, 1]
    assert CollectedRows(task, 1).finish() == b""
    failed = CollectedRows(_task(tmp_path), 1)
    for number in range(3):
        failed.add(0, _batch(0, number, 1000))
    # It goes with its slot's process, should that be killed.
    (unfinished,) = (tmp_path / "scratch").iterdir()
    assert not (tmp_path / "blocks").exists()
    failed.discard()
    assert not unfinished.exists()


def test_a_slot_that_was_too_large_gives_way_to_another(start: Callable[..., Executor]) -> None:
    executor = start(cores=1)
    (first,) = executor.results("import os\nreturn os.getpid()", 1)
    grown = "from quiver_proto.errors import SlotOutOfMemory\nif partition == 0: raise SlotOutOfMemory('', 2 << 20, 1 << 20)"
    body = f"import os\n{grown}\nreturn os.getpid()"
    stage_id: Any = executor.stage(body)
    ids: Any = [700, 701, 702, 703]
    executor.handle(LaunchTasks(stage_id, 0, ids, list(range(4)), [0] * 4, [b""] * 4))
    failed, *others = executor.ends(ids)
    assert isinstance(failed, TaskFailure)
    assert "grew to 2 MiB" in failed.message
    pids = {result(other) for other in others}
    assert len(pids) == 1
    assert first not in pids
