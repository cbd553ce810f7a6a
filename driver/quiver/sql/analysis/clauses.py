"""What may not stand in a clause: window functions, aggregates and generators in some, values of some types in others. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from quiver.sql import types as t
from quiver.sql.analysis.aggregation import is_aggregate
from quiver.sql.analysis.pretty import pretty
from quiver.sql.analysis.typing import type_of
from quiver.sql.analysis.variants import check_order
from quiver.sql.errors import AnalysisException
from quiver.sql.registry.model import lookup
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import children_of, walk
from quiver.sql.types.holding import holds


def check_no_generator(clause: str, expressions: Iterable[e.Expression]) -> None:
    """Raises AnalysisException for an `explode` and the like, before types are looked at. The expressions needn't be analysed."""
    for expression in expressions:
        for node in walk(expression):
            if isinstance(node, e.Call) and (function := lookup(node.name)) is not None and function.kind == "generator":
                raise AnalysisException(
                    f"The generator is not supported: outside the SELECT clause, found: {clause} {pretty(expression)}.",
                    "UNSUPPORTED_GENERATOR.OUTSIDE_SELECT",
                )


def check_no_window(clause: str, condition: e.Expression) -> None:
    """Raises AnalysisException for a window function; `clause`: "WHERE" or "HAVING"."""
    if any(isinstance(node, e.Windowed) for node in walk(condition)):
        raise AnalysisException(
            f"It is not allowed to use window functions inside {clause} clause.", "WINDOW_FUNCTION_NOT_ALLOWED_IN_CLAUSE"
        )


def check_operator(operator: str, expressions: Iterable[e.Expression], windows: bool = False) -> None:
    """Raises AnalysisException for aggregates and, unless `windows`, window functions in an operator that computes none."""
    found = [pretty(node) for expression in expressions for node in _refused(expression, windows)]
    if found:
        listed = ", ".join(f'"{text}"' for text in found)
        raise AnalysisException(
            f"The query operator {operator} contains one or more unsupported expressions. Consider to rewrite it to avoid window "
            f"functions, aggregate functions, and generator functions in the {operator} operator. Invalid expressions: [{listed}]",
            "UNSUPPORTED_EXPR_FOR_OPERATOR",
        )


def _refused(expression: e.Expression, windows: bool) -> Iterator[e.Expression]:
    if isinstance(expression, e.Windowed):
        if not windows:
            yield expression
    elif is_aggregate(expression):
        yield expression
    else:
        for child in children_of(expression):
            yield from _refused(child, windows)


def check_join(condition: e.Expression) -> None:
    """Raises AnalysisException for an analysed condition that can't be one of a join."""
    check_operator("Join", (condition,))
    kind = type_of(condition)
    if not isinstance(kind, t.BooleanType):
        raise AnalysisException(
            f'The join condition "{pretty(condition)}" has the invalid type "{kind.simpleString().upper()}", expected "BOOLEAN".',
            "JOIN_CONDITION_IS_NOT_BOOLEAN_TYPE",
        )


def check_filter(condition: e.Expression) -> None:
    """Raises AnalysisException for an analysed condition that is none."""
    kind = type_of(condition)
    if not isinstance(kind, t.BooleanType):
        shown = pretty(condition)
        raise AnalysisException(
            f'Cannot resolve "{shown}" due to data type mismatch: Filter expression "{shown}" of type "{kind.simpleString().upper()}" '
            "is not a boolean.",
            "DATATYPE_MISMATCH.FILTER_NOT_BOOLEAN",
        )


def check_sorted(keys: Iterable[e.Expression]) -> None:
    """Raises AnalysisException for analysed keys that have no order, or are aggregates."""
    keys = list(keys)
    check_operator("Sort", keys, windows=True)
    for key in keys:
        check_order(key, key, without=t.VariantType | t.MapType)


def check_compared(columns: Sequence[e.Attribute]) -> None:
    """Raises AnalysisException for columns whose rows can't be told to be equal: those with maps or variants."""
    for column in columns:
        if holds(column.type, t.VariantType):
            raise AnalysisException(
                "The feature is not supported: Cannot have VARIANT type columns in a set operation (INTERSECT, EXCEPT, etc.), but the type "
                f'of column `{column.name}` is "{column.type.simpleString().upper()}".',
                "UNSUPPORTED_FEATURE.SET_OPERATION_ON_VARIANT_TYPE",
            )
        if holds(column.type, t.MapType):
            raise AnalysisException(
                "The feature is not supported: Cannot have MAP type columns in a set operation (INTERSECT, EXCEPT, etc.), but the type of "
                f'column `{column.name}` is "{column.type.simpleString().upper()}".',
                "UNSUPPORTED_FEATURE.SET_OPERATION_ON_MAP_TYPE",
            )


def one_column(relation: r.Relation) -> e.ScalarSubquery:
    """A query as a value. Raises AnalysisException for one of several columns."""
    if len(relation.output) != 1:
        raise AnalysisException(
            f"Invalid subquery: Scalar subquery must return only one column, but got {len(relation.output)}.",
            "INVALID_SUBQUERY_EXPRESSION.SCALAR_SUBQUERY_RETURN_MORE_THAN_ONE_OUTPUT_COLUMN",
        )
    return e.ScalarSubquery(relation)
