"""A job's stages as a picture: where each box lies and how the arrows run. Pure geometry; the template draws it as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quiver_web.model import Job, JobStage

BOX_WIDTH = 236
_HEAD, _LINE, _FOOT, _PADDING = 44, 21, 8, 16
_GAP_X, _GAP_Y = 64, 22
_MAX_OPERATORS = 10
_OPERATOR_CHARACTERS, _SITE_CHARACTERS = 18, 16
MAX_STAGES = 120


@dataclass(frozen=True, slots=True)
class OperatorRow:
    name: str
    site: str
    title: str
    y: int


@dataclass(frozen=True, slots=True)
class Box:
    stage: JobStage
    x: int
    y: int
    height: int
    operators: Sequence[OperatorRow]


@dataclass(frozen=True, slots=True)
class Arrow:
    """From the right side of the parent's box to the left side of the child's; `path` is an SVG path."""

    parent: int
    child: int
    path: str
    skipped: bool


@dataclass(frozen=True, slots=True)
class Picture:
    width: int
    height: int
    boxes: Sequence[Box]
    arrows: Sequence[Arrow]
    left_out: int
    """Stages that are not drawn because there are too many: the earliest."""


def draw(job: Job) -> Picture:
    """Stages left to right in the order of computation, each one column to the right of its latest parent."""
    all_stages = list(job.stages.values())
    stages = all_stages[-MAX_STAGES:]
    drawn = {stage.info.stage_id for stage in stages}
    parents = {stage.info.stage_id: [p for p in stage.info.parents if p in drawn] for stage in stages}
    columns = _columns(stages, parents)
    boxes = _place(columns, parents)
    by_id = {box.stage.info.stage_id: box for box in boxes}
    arrows = [_arrow(by_id[parent], by_id[child]) for child, of_child in parents.items() for parent in dict.fromkeys(of_child)]
    width = max((box.x + BOX_WIDTH for box in boxes), default=0) + _PADDING
    height = max((box.y + box.height for box in boxes), default=0) + _PADDING
    return Picture(width, height, boxes, arrows, len(all_stages) - len(stages))


def _columns(stages: Sequence[JobStage], parents: dict[int, list[int]]) -> list[list[JobStage]]:
    depth: dict[int, int] = {}
    for stage in stages:  # parents come first
        depth[stage.info.stage_id] = max((depth.get(p, -1) for p in parents[stage.info.stage_id]), default=-1) + 1
    columns: list[list[JobStage]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for stage in stages:
        columns[depth[stage.info.stage_id]].append(stage)
    return columns


def _place(columns: list[list[JobStage]], parents: dict[int, list[int]]) -> list[Box]:
    """Within a column, boxes are ordered by the middle of their parents, so that few arrows cross; columns are centred."""
    heights = [sum(_height(stage) + _GAP_Y for stage in column) - _GAP_Y for column in columns]
    tallest = max(heights, default=0)
    boxes: list[Box] = []
    middle: dict[int, float] = {}
    for number, column in enumerate(columns):
        y = _PADDING + (tallest - heights[number]) // 2

        def key(stage: JobStage) -> float:
            of_stage = [middle[p] for p in parents[stage.info.stage_id] if p in middle]
            return sum(of_stage) / len(of_stage) if of_stage else 0.0

        for stage in sorted(column, key=key):
            height = _height(stage)
            boxes.append(Box(stage, _PADDING + number * (BOX_WIDTH + _GAP_X), y, height, _operators(stage)))
            middle[stage.info.stage_id] = y + height / 2
            y += height + _GAP_Y
    return boxes


def _height(stage: JobStage) -> int:
    return _HEAD + _LINE * len(_shown(stage)) + _FOOT


def _shown(stage: JobStage) -> list[Sequence[str]]:
    operators = [row for row in stage.info.operators if row]
    if len(operators) <= _MAX_OPERATORS:
        return operators
    half = (_MAX_OPERATORS - 1) // 2
    return [*operators[:half], (f"… {len(operators) - 2 * half} more", ""), *operators[-half:]]


def _operators(stage: JobStage) -> list[OperatorRow]:
    rows = []
    for number, row in enumerate(_shown(stage)):
        name, site = str(row[0]), str(row[1]) if len(row) > 1 else ""
        y = _HEAD + _LINE * number + 10
        rows.append(OperatorRow(_clipped(name, _OPERATOR_CHARACTERS), _clipped_left(site, _SITE_CHARACTERS), f"{name} {site}".strip(), y))
    return rows


def _arrow(parent: Box, child: Box) -> Arrow:
    x1, y1 = parent.x + BOX_WIDTH, parent.y + parent.height // 2
    x2, y2 = child.x - 5, child.y + child.height // 2
    bend = min((x2 - x1) // 2, 60)
    path = f"M{x1} {y1} C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
    return Arrow(parent.stage.info.stage_id, child.stage.info.stage_id, path, child.stage.status == "skipped")


def _clipped(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _clipped_left(text: str, limit: int) -> str:
    """The end of a place in a file, its line number, says most."""
    return text if len(text) <= limit else "…" + text[-(limit - 1) :]
