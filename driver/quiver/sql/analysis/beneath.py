"""Filters and sorts by what the relation below them no longer shows: columns that it was computed from, keys and aggregates of groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from quiver.sql.analysis.aggregation import has_aggregate, is_aggregate, of_all_keys
from quiver.sql.analysis.left_out import THROUGH, over_wider
from quiver.sql.analysis.pretty import output_name
from quiver.sql.errors import AnalysisException, column_not_found
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import attributes_in, rebuilt, strip_alias

if TYPE_CHECKING:
    from quiver.sql.analysis.resolver import Columns, Levels, Resolver

Widened = tuple[r.Relation, tuple[e.Expression, ...]]


def with_hidden(
    analyser: Resolver, child: r.Relation, expressions: Sequence[e.Expression], outer: Levels
) -> tuple[r.Relation, int, tuple[e.Expression, ...]]:
    """The expressions resolved against `child`, or with columns added to its own at the end (how many is told).

    Raises the AnalysisException of the child's own columns where those below it don't help either.
    """
    try:
        resolved = analyser.resolved(expressions, child.output, outer)
        if not isinstance(child, r.Aggregate) or not any(map(has_aggregate, resolved)):
            return child, 0, resolved
        failed = None
    except AnalysisException as error:
        if error.condition.startswith("AMBIGUOUS"):
            raise
        failed = error
    try:
        widened, resolved = _widened(analyser, child, expressions, outer)
    except AnalysisException as error:
        raise failed or error from None
    return widened, len(widened.output) - len(child.output), resolved


def _widened(analyser: Resolver, child: r.Relation, expressions: Sequence[e.Expression], outer: Levels) -> Widened:
    match child:
        case r.Project():
            resolved = _resolved(analyser, child.output, child.child.output, expressions, outer)
            shown = {column.id for column in child.output}
            hidden = {
                a.id: a for expression in resolved for a in attributes_in(expression) if a.id not in shown and a in child.child.output
            }
            return replace(child, expressions=(*child.expressions, *hidden.values())), resolved
        case r.Aggregate():
            if child.sets is not None:
                expressions = [of_all_keys(expression, child.keys) for expression in expressions]
            return _of_groups(analyser, child, _resolved(analyser, child.output, child.child.output, expressions, outer))
        case _ if isinstance(child, THROUGH) and not any(map(has_aggregate, expressions)):
            below, resolved = _widened(analyser, child.child, expressions, outer)
            return over_wider(child, below), resolved
        case _:
            return child, analyser.resolved(expressions, child.output, outer)


def _resolved(
    analyser: Resolver, shown: Columns, below: Columns, expressions: Sequence[e.Expression], outer: Levels
) -> tuple[e.Expression, ...]:
    """Against both; a name means what is shown before what is below."""

    def named(node: e.Expression) -> e.Expression:
        if isinstance(node, e.Name):
            return analyser.lookup(node.parts, shown) or node
        return rebuilt(node, named)

    ids = {column.id for column in shown}
    return analyser.resolved([named(each) for each in expressions], (*shown, *(column for column in below if column.id not in ids)), outer)


def _of_groups(analyser: Resolver, groups: r.Aggregate, resolved: Sequence[e.Expression]) -> Widened:
    """Keys and aggregates as columns of the groups, added where they are not yet."""
    outputs = list(groups.outputs)
    shown = {column.id: column for column in groups.output}

    def over(node: e.Expression) -> e.Expression:
        if isinstance(node, e.Attribute) and node.id in shown:
            return node
        if is_aggregate(node) or (node in groups.keys and not isinstance(node, e.Literal)):
            for output, column in zip(outputs, r.named_output(tuple(outputs)), strict=True):
                if strip_alias(output) == node:
                    return column
            inside = {column.id for column in groups.child.output}
            if gone := [column.name for column in attributes_in(node) if column.id not in inside]:
                raise AnalysisException(
                    f'Resolved attribute(s) "{gone[0]}" missing from what is grouped: it is an aggregate itself.',
                    "MISSING_ATTRIBUTES.RESOLVED_ATTRIBUTE_APPEAR_IN_OPERATION",
                )
            outputs.append(node if isinstance(node, e.Attribute) else e.Alias(node, output_name(node), analyser.fresh()))
            return r.named_output((outputs[-1],))[0]
        if isinstance(node, e.Attribute):
            raise column_not_found(node.name, (column.name for column in groups.output))
        return rebuilt(node, over)

    made = tuple(map(over, resolved))
    return replace(groups, outputs=tuple(outputs)), made
