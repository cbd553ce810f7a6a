"""Which slot last ran a partition of a stage with cached datasets: it may have the records as live objects. A pure decision."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from itertools import islice
from typing import Final

from quiver_executor.slot_process import Task

WINDOW: Final = 64
"""Queued tasks that are considered."""
_MOST = 100_000


class WarmSlots:
    """A preference only: an idle slot takes a task that another would have run faster rather than none."""

    def __init__(self) -> None:
        self._slots: OrderedDict[tuple[int, int], int] = OrderedDict()

    def ran(self, datasets: Iterable[int], partition: int, slot: int) -> None:
        """A task of a stage with these cached datasets has ended in `slot`."""
        for dataset in datasets:
            self._slots[dataset, partition] = slot
            self._slots.move_to_end((dataset, partition))
        while len(self._slots) > _MOST:
            self._slots.popitem(last=False)

    def slot_died(self, slot: int) -> None:
        self._slots = OrderedDict((key, where) for key, where in self._slots.items() if where != slot)

    def bring_forward(self, queue: deque[Task], slot: int) -> None:
        """Put the tasks at the queue's head in order for `slot`: first those that it ran before, last those that others did.

        Only tasks of the first one's stage change places, and among equals the order stays.
        """
        stage = queue[0].stage
        head: list[Task] = []
        for task in islice(queue, WINDOW):
            if task.stage is not stage:
                break
            head.append(task)
        datasets = tuple(stage.description.cached)

        def distance(task: Task) -> int:
            where = [known for dataset in datasets if (known := self._slots.get((dataset, task.partition))) is not None]
            return 0 if slot in where else 2 if where else 1

        ordered = sorted(head, key=distance)
        if ordered != head:
            for _ in head:
                queue.popleft()
            queue.extendleft(reversed(ordered))
