"""Where aggregates and window functions may stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from quiver.sql.analysis.pretty import output_name, pretty
from quiver.sql.analysis.typing import function_of
from quiver.sql.analysis.variants import check_partitions
from quiver.sql.errors import AnalysisException
from quiver.sql.tree import expressions as e
from quiver.sql.tree.walking import children_of, rebuilt, strip_alias, walk


def has_aggregate(expression: e.Expression) -> bool:
    """Whether an aggregate is in it, other than one over a window."""
    if isinstance(expression, e.Windowed):
        return any(map(has_aggregate, children_of(expression.function)))
    if is_aggregate(expression):
        return True
    return any(map(has_aggregate, children_of(expression)))


def is_aggregate(expression: e.Expression) -> bool:
    """Whether it is a call of one."""
    if isinstance(expression, e.PythonCall):
        return bool(expression.function.is_aggregate)
    return isinstance(expression, e.Call) and function_of(expression).kind == "aggregate"


def check_grouped(output: e.Expression, keys: Sequence[e.Expression] | None) -> None:
    """Raises AnalysisException for an output that is not computed from `keys` and aggregates; `keys`: None where there is no GROUP BY."""

    def check(expression: e.Expression) -> None:
        if keys and expression in keys:
            return
        if is_aggregate(expression):
            if any(is_aggregate(node) for child in children_of(expression) for node in walk(child)):
                raise nested(expression)
            return
        if isinstance(expression, e.Attribute):
            raise not_grouped(expression, has_keys=keys is not None)
        for child in children_of(expression):
            check(child)

    check(strip_alias(output))


def of_all_keys(expression: e.Expression, keys: Sequence[e.Expression]) -> e.Expression:
    """With `grouping_id()`, or Hive's column `grouping__id`, as the one of all the keys of grouping sets."""
    if isinstance(expression, e.Name) and [part.lower() for part in expression.parts] == ["grouping__id"]:
        return e.Alias(e.Call("grouping_id", tuple(keys)), expression.parts[0])
    if isinstance(expression, e.Call) and expression.name == "grouping_id" and not expression.args:
        return e.Alias(replace(expression, args=tuple(keys)), output_name(expression))
    if isinstance(expression, e.Alias):
        return replace(expression, child=strip_alias(of_all_keys(expression.child, keys)))
    return rebuilt(expression, lambda child: strip_alias(of_all_keys(child, keys)))


def nested(aggregate: e.Expression) -> AnalysisException:
    """The error of an aggregate that has another in an argument."""
    return AnalysisException(
        f'"{pretty(aggregate)}": it is not allowed to use an aggregate function in the argument of another aggregate function. '
        "Please use the inner aggregate function in a sub-query.",
        "NESTED_AGGREGATE_FUNCTION",
    )


def not_grouped(column: e.Attribute, has_keys: bool) -> AnalysisException:
    """The error of a column that groups have many values of; `has_keys`: there is a GROUP BY."""
    if not has_keys:
        return AnalysisException(
            f'The query does not include a GROUP BY clause for "{column.name}". Add GROUP BY or turn it into the window functions using '
            "OVER clauses.",
            "MISSING_GROUP_BY",
        )
    return AnalysisException(
        f'The non-aggregating expression "{column.name}" is based on columns which are not participating in the GROUP BY clause. '
        "Add the columns or the expression to the GROUP BY, aggregate the expression, or use any_value() if any of the values will do.",
        "MISSING_AGGREGATION",
    )


def _check_buckets(ntile: e.Call) -> None:
    count = ntile.args[0]
    sign = 1
    if isinstance(count, e.Call) and count.name == "negative":
        sign, count = -1, count.args[0]
    if isinstance(count, e.Literal) and isinstance(count.value, int) and sign * count.value <= 0:
        raise AnalysisException(
            f'Cannot resolve "{pretty(ntile)}" due to data type mismatch: The buckets must be between (0, 2147483647] '
            f"(current value = {sign * count.value}).",
            "DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE",
        )


_ORDERED = frozenset({"row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead", "nth_value", "counter_diff"})


def check_windowed(expression: e.Expression) -> None:
    """Raises AnalysisException for a window function without a window, or without the order that it is about."""
    if isinstance(expression, e.Windowed):
        function = expression.function
        if isinstance(function, e.Call) and function.name in _ORDERED and not expression.window.order_by:
            raise AnalysisException(
                f"Window function {pretty(function)} requires window to be ordered, please add ORDER BY clause. For example "
                f"SELECT {pretty(function)} OVER (PARTITION BY window_partition ORDER BY window_ordering) FROM table.",
                "WINDOW_FUNCTION_FRAME_NOT_ORDERED",
            )
        if isinstance(function, e.Call) and function.name == "ntile":
            _check_buckets(function)
        check_partitions(expression.window)
        frame = expression.window.frame
        if frame is not None and isinstance(frame.start, int) and isinstance(frame.end, int) and frame.start > frame.end:
            raise AnalysisException(
                f'Cannot resolve "{pretty(expression.window)}" due to data type mismatch: The lower bound of a window frame must be less '
                "than or equal to the upper bound.",
                "DATATYPE_MISMATCH.SPECIFIED_WINDOW_FRAME_WRONG_COMPARISON",
            )
        for child in (*children_of(expression.function), expression.window):
            check_windowed(child)
        return
    if isinstance(expression, e.Call) and function_of(expression).kind == "window":
        raise AnalysisException(f'Window function "{pretty(expression)}" requires an OVER clause.', "WINDOW_FUNCTION_WITHOUT_OVER_CLAUSE")
    for child in children_of(expression):
        check_windowed(child)
