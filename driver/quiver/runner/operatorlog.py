"""Operators of native fragments in the event log: one line a stage and second, however many tasks tell of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from quiver.eventlog import EventLog
from quiver_proto.events import OperatorsMeasured
from quiver_proto.ids import StageId
from quiver_proto.messages import OperatorMetrics
from quiver_proto.operators import OperatorTable

RETAINED = 1000
INTERVAL_S = 1.0


class OperatorLog:
    """For the thread that runs the engine; `tables`, of the last RETAINED stages, may be read by any."""

    def __init__(self, events: EventLog, wall_clock: Callable[[], float]) -> None:
        self.tables: dict[StageId, OperatorTable] = {}
        self._events = events
        self._wall_clock = wall_clock
        self._told_at: dict[StageId, float] = {}
        self._untold: set[StageId] = set()

    def add(self, stage_id: StageId, operators: Sequence[OperatorMetrics]) -> None:
        """A task of the stage was accepted."""
        table = self.tables.get(stage_id)
        if table is None:
            table = self.tables[stage_id] = OperatorTable()
            self._told_at[stage_id] = self._wall_clock()
            if len(self.tables) > RETAINED:
                oldest = next(iter(self.tables))
                del self.tables[oldest]
                self._told_at.pop(oldest, None)
                self._untold.discard(oldest)
        table.add(operators)
        self._untold.add(stage_id)
        if self._wall_clock() - self._told_at[stage_id] >= INTERVAL_S:
            self.tell(stage_id)

    def tell(self, stage_id: StageId) -> None:
        """Write what was not written yet. To be called when a stage has ended."""
        if stage_id in self._untold:
            self._untold.remove(stage_id)
            self._told_at[stage_id] = self._wall_clock()
            self._events.append(as_event(stage_id, self.tables[stage_id], self._told_at[stage_id]))


def as_event(stage_id: int, table: OperatorTable, at: float) -> OperatorsMeasured:
    rows = table.rows()
    return OperatorsMeasured(
        at,
        stage_id,
        [row.tree for row in rows],
        [row.depth for row in rows],
        [row.name for row in rows],
        [row.detail for row in rows],
        [row.shuffle_id for row in rows],
        [row.tasks for row in rows],
        [row.rows for row in rows],
        [round(row.compute_s, 9) for row in rows],
        [round(row.longest_s, 9) for row in rows],
        [row.spills for row in rows],
        [row.spilled_bytes for row in rows],
        [row.scanned_bytes for row in rows],
    )
