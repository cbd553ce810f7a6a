"""How a stage attempt's successful tasks were distributed: quantiles per metric, over the tasks kept in detail."""

from __future__ import annotations

from collections.abc import Sequence

from quiver_web.metrics import INDEX
from quiver_web.tasks import TaskStatus, TaskTable

QUARTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


def quantiles_of(values: Sequence[float], quantiles: Sequence[float]) -> list[float]:
    """Nearest rank, as Spark computes them. No values: zeros."""
    if not values:
        return [0.0] * len(quantiles)
    ordered = sorted(values)
    return [ordered[min(int(q * len(ordered)), len(ordered) - 1)] for q in quantiles]


class Distribution:
    """The metrics of the successful tasks in a table. One is made per request; columns are taken out when first asked for."""

    def __init__(self, table: TaskTable) -> None:
        self._table = table
        self._rows = [row for row, status in enumerate(table.statuses) if status == TaskStatus.SUCCEEDED]

    def __len__(self) -> int:
        return len(self._rows)

    def of(self, quantiles: Sequence[float], *names: str) -> list[float]:
        """Quantiles of the sum of these metrics (fields of TaskMetrics)."""
        columns = [self._table.column(INDEX[name]) for name in names]
        if len(columns) == 1:
            column = columns[0]
            return quantiles_of([column[row] for row in self._rows], quantiles)
        return quantiles_of([sum(column[row] for column in columns) for row in self._rows], quantiles)
