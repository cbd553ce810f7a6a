"""A physical plan as a tree of operators over all its stages, drawn as Spark draws plans. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from quiver_proto.errors import UnsupportedPlan
from quiver_proto.fragments import PASSING, SCANS, body_of, exchange_of, kind_of
from quiver_proto.v1.kernel_pb2 import Plan

_WHY_ONE = {
    "sort_preserving_merge": "it merges sorted rows",
    "merge": "it puts the rows of all tasks together",
    "global_limit": "it takes the first rows of all",
    "nested_loop_join": "each row of its left side may fit rows of any task",
    "cross_join": "its right side is one partition",
    "hash_join": "a null on one side decides for all rows, or its right side is one partition",
    "sort": "it sorts all rows",
    "placeholder_row": "it has one row",
    "generate_series": "it makes its rows itself",
    "memory_scan": "its rows are in the program",
    "empty": "it has no rows",
}


@dataclass(slots=True)
class Operator:
    """`inputs` left to right. Of another stage: an operator named Exchange is between them."""

    name: str
    detail: str = ""
    inputs: list[Operator] = field(default_factory=list)


def drawn(root: Operator, numbers: dict[int, int] | None = None) -> str:
    """One line an operator, inputs below what reads them. `numbers`, by id(): shown instead of details."""
    lines: list[str] = []
    pending: list[tuple[Operator, str, str]] = [(root, "", "")]
    while pending:
        operator, lead, below = pending.pop()
        told = f"{operator.name} ({numbers[id(operator)]})" if numbers else f"{operator.name} {operator.detail}".rstrip()
        lines.append(lead + told)
        last = len(operator.inputs) - 1
        for place, child in reversed(list(enumerate(operator.inputs))):
            pending.append((child, f"{below}{'+- ' if place == last else ':- '}", f"{below}{'   ' if place == last else ':  '}"))
    return "\n".join(lines)


def numbered(root: Operator) -> dict[int, int]:
    """Numbers by id(operator), from 1: inputs before what reads them, the left first."""
    return {id(operator): number for number, operator in enumerate(_inputs_first(root), 1)}


def detailed(root: Operator) -> str:
    """The tree with numbers, then each operator with its details, one a line."""
    numbers = numbered(root)
    parts = [drawn(root, numbers), ""]
    for operator in _inputs_first(root):
        parts += ["", f"({numbers[id(operator)]}) {operator.name}"]
        parts += [_argument(argument) for argument in arguments(operator.detail)]
    return "\n".join(parts)


def _argument(text: str) -> str:
    name, equals, value = text.partition("=")
    return f"{name}: {value}" if equals and name.replace("_", "").isalpha() else f"Arguments: {text}"


def arguments(detail: str) -> list[str]:
    """`detail` at its commas, not at those within brackets or quotes.

    >>> arguments("mode=Final, gby=[a, b], aggr=[max(x, y)]")
    ['mode=Final', 'gby=[a, b]', 'aggr=[max(x, y)]']
    """
    found: list[str] = []
    start = depth = 0
    for place, character in enumerate(detail):
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == "," and depth == 0 and detail.startswith(", ", place):
            found.append(detail[start:place])
            start = place + 2
    return [part for part in (*found, detail[start:]) if part]


def why_one_task(plan: Plan) -> str:
    """Why a fragment has only one partition."""
    top = plan
    try:
        while kind_of(top) in PASSING or kind_of(top) in ("scalar_subquery", "local_limit"):
            top = body_of(top).input
        kind = kind_of(top)
    except UnsupportedPlan:
        return "one of its operators can't be divided"
    if kind in SCANS and any(exchange_of(group) for group in body_of(top).base_conf.file_groups):
        return _WHY_ONE["merge"]
    return _WHY_ONE.get(kind, "its input is one partition")


def _inputs_first(root: Operator) -> Iterator[Operator]:
    pending: list[tuple[Operator, bool]] = [(root, False)]
    while pending:
        operator, is_ready = pending.pop()
        if is_ready:
            yield operator
        else:
            pending.append((operator, True))
            pending += ((child, False) for child in reversed(operator.inputs))
