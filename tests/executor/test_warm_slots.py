"""Tasks go to the slot that has their records as live objects, when that can be had."""

from __future__ import annotations

from collections import deque

from quiver_executor.slot_process import Stage, Task
from quiver_executor.warm_slots import WINDOW, WarmSlots
from quiver_proto.ids import StageId
from quiver_proto.messages import AddStage, CacheTable


def stage(number: int, *datasets: int) -> Stage:
    return Stage(
        number, AddStage(StageId(number), 0, b"", {}, {}, {}, {dataset: CacheTable(dataset, [], [], [], []) for dataset in datasets})
    )


def queue_of(*parts: tuple[Stage, int]) -> deque[Task]:
    return deque(Task(100 + number, of, partition, 0, b"", 1) for number, (of, partition) in enumerate(parts))


def order(queue: deque[Task]) -> list[int]:
    return [task.partition for task in queue]


def test_own_first_then_unknown_then_those_of_others() -> None:
    warm, one = WarmSlots(), stage(1, 5)
    for partition in (0, 3):
        warm.ran([5], partition, 1)
    for partition in (1, 2, 4):
        warm.ran([5], partition, 0)
    queue = queue_of(*((one, partition) for partition in range(7)))
    warm.bring_forward(queue, 0)
    assert order(queue) == [1, 2, 4, 5, 6, 0, 3]
    warm.bring_forward(queue, 1)
    assert order(queue) == [0, 3, 5, 6, 1, 2, 4]


def test_only_the_first_stage_and_only_a_window_move() -> None:
    warm, one, two = WarmSlots(), stage(1, 5), stage(2, 5)
    warm.ran([5], 9, 0)
    queue = queue_of((one, 1), (one, 2), (two, 9))
    warm.bring_forward(queue, 0)
    assert order(queue) == [1, 2, 9]
    queue = queue_of(*((one, 0) for _ in range(WINDOW)), (one, 9))
    warm.bring_forward(queue, 0)
    assert order(queue)[-1] == 9


def test_a_dead_slot_is_warm_for_nothing() -> None:
    warm, one = WarmSlots(), stage(1, 5)
    warm.ran([5], 0, 1)
    warm.slot_died(1)
    queue = queue_of((one, 0), (one, 1))
    warm.bring_forward(queue, 0)
    assert order(queue) == [0, 1]
