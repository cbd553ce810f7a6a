"""A query's operators as one tree over all its stages: what reads a shuffle has the stage that left it below. Pure.

Only branches are set in: a chain of operators, however long, stays in its column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from quiver_proto.events import OperatorsMeasured
from quiver_proto.operators import OperatorTotals
from quiver_web.model import Job, Stage

MOST_LINES = 1500
MOST_INDENT = 16


@dataclass(frozen=True, slots=True)
class Line:
    """An operator, or a stage that has told of none (`totals` None). `parent` is the number of the line that reads it, -1 for none.

    `opens`: the first line of its stage. `attempt` is the stage's last, None before its first. `note` is for people.
    """

    number: int
    parent: int
    indent: int
    stage_id: int
    opens: bool
    attempt: int | None
    name: str
    detail: str = ""
    note: str = ""
    totals: OperatorTotals | None = None


def totals_of(event: OperatorsMeasured) -> list[OperatorTotals]:
    """Its columns as rows."""
    columns = (
        event.trees, event.depths, event.names, event.details, event.shuffle_ids, event.tasks, event.rows, event.compute_s,
        event.longest_s, event.spills, event.spilled_bytes, event.scanned_bytes,
    )  # fmt: skip
    return [OperatorTotals(*row) for row in zip(*columns, strict=True)]


def lines_of(jobs: Sequence[Job], stages: Mapping[int, Stage]) -> list[Line]:
    """All operators of these jobs, results first; at most MOST_LINES."""
    return _Layout(jobs, stages).lines


@dataclass(frozen=True, slots=True)
class _Below:
    """What is to come next: the stages whose rows the line `parent` reads."""

    stage_ids: tuple[int, ...]
    indent: int
    parent: int


class _Layout:
    def __init__(self, jobs: Sequence[Job], stages: Mapping[int, Stage]) -> None:
        self.lines: list[Line] = []
        self._stages = stages
        self._infos = {stage_id: mine.info for job in jobs for stage_id, mine in job.stages.items()}
        self._shuffles = {info.shuffle_id: stage_id for stage_id, info in self._infos.items() if info.shuffle_id is not None}
        self._shown: set[int] = set()
        results = [stage_id for stage_id, info in self._infos.items() if info.shuffle_id is None]
        # The last job's results first: earlier jobs made what they read.
        pending: list[Iterator[_Below]] = [iter([_Below((stage_id,), 0, -1)]) for stage_id in results]
        while pending and len(self.lines) < MOST_LINES:
            below = next(pending[-1], None)
            if below is None:
                pending.pop()
                continue
            indent = below.indent + (len(below.stage_ids) > 1)
            pending.extend(self._stage(stage_id, indent, below.parent) for stage_id in reversed(below.stage_ids))

    def _stage(self, stage_id: int, indent: int, parent: int) -> Iterator[_Below]:
        stage = self._stages.get(stage_id)
        attempt = None if stage is None or stage.last is None else stage.last.attempt
        if stage_id in self._shown:
            self._add(parent, indent, stage_id, True, attempt, f"Stage {stage_id}", note="shown above")
            return
        self._shown.add(stage_id)
        if stage is None or not stage.operators:
            info = self._infos[stage_id]
            parents = tuple(known for known in info.parents if known in self._infos)
            if parent < 0 and parents and stage is not None and stage.last is not None and stage.last.status == "succeeded":
                # It had nothing to do but to wait for its inputs, whose sizes the next job was planned by.
                if below := tuple(known for known in parents if known not in self._shown):
                    yield _Below(below, indent, -1)
                return
            note = "has told of no operators" if attempt is not None else "has not begun"
            number = self._add(parent, indent, stage_id, True, attempt, f"Stage {stage_id}", info.name, note)
            yield _Below(parents, indent, number)
            return
        yield from self._operators(stage_id, attempt, stage.operators, indent, parent)

    def _operators(self, stage_id: int, attempt: int | None, rows: Sequence[OperatorTotals], indent: int, parent: int) -> Iterator[_Below]:
        siblings = _siblings(rows)
        # Of the operators above the next one: its depth, line and the indentation of what is below it.
        above: list[tuple[int, int, int]] = []
        for position, row in enumerate(rows):
            while above and (above[-1][0] >= row.depth or row.depth == 0):
                above.pop()
            _, reader, column = above[-1] if above else (-1, parent, indent)
            column += siblings[position] > 1
            number = self._add(reader, column, stage_id, position == 0, attempt, row.name, row.detail, totals=row)
            above.append((row.depth, number, column))
            below = self._shuffles.get(row.shuffle_id)
            if below is not None:
                self.lines[number] = replace(self.lines[number], note=f"of stage {below}")
                yield _Below((below,), column, number)

    def _add(
        self,
        parent: int,
        indent: int,
        stage_id: int,
        opens: bool,
        attempt: int | None,
        name: str,
        detail: str = "",
        note: str = "",
        totals: OperatorTotals | None = None,
    ) -> int:
        number = len(self.lines)
        self.lines.append(Line(number, parent, min(indent, MOST_INDENT), stage_id, opens, attempt, name, detail, note, totals))
        return number


def _siblings(rows: Sequence[OperatorTotals]) -> list[int]:
    """Of each row: how many inputs its reader has, itself included."""
    readers: list[tuple[int, int]] = []
    counts: dict[tuple[int, int], int] = {}
    above: dict[int, int] = {}
    for position, row in enumerate(rows):
        above[row.depth] = position
        reader = (0, above.get(row.depth - 1, -1)) if row.depth else (0, -1)
        readers.append(reader)
        counts[reader] = counts.get(reader, 0) + 1
    return [counts[reader] for reader in readers]
