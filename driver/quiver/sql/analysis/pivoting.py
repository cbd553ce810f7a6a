"""PIVOT: aggregates over the rows of one group for which a condition holds. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from quiver.sql import types as t
from quiver.sql.analysis.aggregation import is_aggregate
from quiver.sql.analysis.pretty import output_name
from quiver.sql.errors import AnalysisException
from quiver.sql.tree import expressions as e
from quiver.sql.tree.walking import rebuilt, strip_alias


def pivoted(choices: Sequence[tuple[str, e.Expression]], aggregates: Sequence[e.Expression]) -> list[e.Expression]:
    """For each choice, a label and a condition, each aggregate over the rows for which that holds; null for groups without such rows.

    Raises AnalysisException for a user's aggregate.
    """
    result: list[e.Expression] = []
    for label, chosen in choices:
        there = e.Call(">", (e.Call("count", where=chosen), e.Literal(0, t.LongType())))
        for aggregate in aggregates:
            name = aggregate.name if isinstance(aggregate, e.Alias) else output_name(aggregate)
            made = e.Case(((there, _only(strip_alias(aggregate), chosen)),))
            result.append(e.Alias(made, label if len(aggregates) == 1 else f"{label}_{name}"))
    return result


def _only(expression: e.Expression, chosen: e.Expression) -> e.Expression:
    if isinstance(expression, e.PythonCall) and expression.function.is_aggregate:
        raise AnalysisException(f"`{expression.name}` can't be used in a pivot: use an aggregate of SQL.", "UNSUPPORTED_FEATURE")
    if isinstance(expression, e.Call) and is_aggregate(expression):
        return replace(expression, where=chosen if expression.where is None else e.Call("and", (expression.where, chosen)))
    return rebuilt(expression, lambda child: _only(child, chosen))
