"""Hints: `/*+ BROADCAST(t), REPARTITION(3, a) */` over the relation that they are of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import expressions as g
from sqlglot.expressions.core import Expression as Node

from quiver.sql.analysis.scopes import is_column
from quiver.sql.errors import AnalysisException
from quiver.sql.frontend.constants import folded
from quiver.sql.hinting import BROADCAST, MERGE
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r

if TYPE_CHECKING:
    from quiver.sql.frontend.queries import Query

_JOINS = {
    **dict.fromkeys(BROADCAST, "broadcast"), **dict.fromkeys(MERGE, "merge"),
    "shuffle_hash": "shuffle_hash", "shuffle_replicate_nl": "shuffle_replicate_nl",
}  # fmt: skip
_PARTITIONS = ("coalesce", "repartition", "repartition_by_range", "rebalance")


def of(node: g.Select) -> list[tuple[str, list[Node]]]:
    """(name in lower case, arguments) of each hint of a SELECT; unknown ones are passed over, as in Spark."""
    hint = node.args.get("hint")
    return [] if hint is None else [(item.name.lower(), list(item.expressions)) for item in hint.expressions]


def joins(node: g.Select) -> dict[str, str]:
    """By the names of tables, lower case: how they are to be joined."""
    found: dict[str, str] = {}
    for name, args in of(node):
        if name in _JOINS:
            for argument in args:
                found.setdefault(argument.name.lower(), _JOINS[name])
    return found


def hinted(query: Query, node: g.Select, result: r.Relation) -> r.Relation:
    """With the hints on partitions around it, the first outermost."""
    for name, args in reversed(of(node)):
        if name not in _PARTITIONS:
            continue
        kept = len(result.output)
        reader = query.reader(result.output)
        read = [reader.read(argument) for argument in args]
        count = None
        if read and not (isinstance(read[0], e.Name) and is_column(query.analyser, read[0], result.output)):
            value = folded(read[0])
            if not isinstance(value, int) or value < 1:
                raise AnalysisException(
                    f"{name.upper()} Hint parameter should be a positive number of partitions.", "INVALID_HINT_PARAMETER"
                )
            count, read = value, read[1:]
        result, hidden, keys = query.analyser.with_hidden(result, read, query.outer)
        if name == "rebalance":
            result = r.Hint(result, name, (*([] if count is None else [count]), *keys))
        else:
            result = r.Repartition(result, count, keys, name == "repartition_by_range", name == "coalesce")
        if hidden:
            result = r.Project(result, result.output[:kept])
    return result
