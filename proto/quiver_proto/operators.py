"""What the operators of a stage's fragments did, summed over its tasks. Pure.

Tasks of one stage mostly run the same operators; those of a union's branches don't. Each *tree* of operators is summed for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quiver_proto.messages import OperatorMetrics

MOST_TREES = 32
"""Of one stage; the tasks of others are only counted."""


@dataclass(slots=True)
class OperatorTotals:
    """One operator of a stage over `tasks` tasks. `tree` numbers the stage's trees; the other fields are those of OperatorMetrics, summed.

    `longest_s` is the most compute time that one task had.
    """

    tree: int
    depth: int
    name: str
    detail: str
    shuffle_id: int
    tasks: int = 0
    rows: int = 0
    compute_s: float = 0.0
    longest_s: float = 0.0
    spills: int = 0
    spilled_bytes: int = 0
    scanned_bytes: int = 0


class OperatorTable:
    """A stage's operators, tree after tree, each operator before its inputs. `untold` tasks had trees beyond MOST_TREES."""

    def __init__(self) -> None:
        self.untold = 0
        self._trees: dict[tuple[tuple[int, str, str, int], ...], list[OperatorTotals]] = {}

    def add(self, operators: Sequence[OperatorMetrics]) -> None:
        """One task more."""
        shape = tuple(operator[:4] for operator in operators)
        totals = self._trees.get(shape)
        if totals is None:
            if len(self._trees) >= MOST_TREES:
                self.untold += 1
                return
            number = len(self._trees)
            totals = self._trees[shape] = [OperatorTotals(number, *identity) for identity in shape]
        for total, operator in zip(totals, operators, strict=True):
            total.tasks += 1
            total.rows += operator.rows
            total.compute_s += operator.compute_s
            total.longest_s = max(total.longest_s, operator.compute_s)
            total.spills += operator.spills
            total.spilled_bytes += operator.spilled_bytes
            total.scanned_bytes += operator.scanned_bytes

    def rows(self) -> list[OperatorTotals]:
        """All operators. They go on being summed."""
        return [total for totals in list(self._trees.values()) for total in totals]
