"""What calls of variants' functions mean beside the types of their arguments, and where variants may not stand. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import UnionType
from typing import Final

from quiver.sql import types as t
from quiver.sql.analysis.pretty import pretty
from quiver.sql.analysis.typing import type_of
from quiver.sql.errors import AnalysisException
from quiver.sql.tree import expressions as e
from quiver.sql.types.holding import holds

FILLED: Final = frozenset({"variant_get", "try_variant_get", "variant_set", "try_variant_set", "variant_strip_nulls", "variant path"})
"""Calls that `filled` rewrites."""
_TRUE = e.Literal(True, t.BooleanType())


def filled(call: e.Call) -> e.Call:
    """With arguments that were left out, and with the type that `variant_get` gives as that of a null. Raises AnalysisException."""
    match call.name:
        case "variant_get" | "try_variant_get":
            if len(call.args) == 2:
                return replace(call, args=(*call.args, e.Literal(None, t.VariantType())))
            if len(call.args) == 3 and isinstance(wanted := call.args[2], e.Literal) and isinstance(wanted.value, str):
                return replace(call, args=(*call.args[:2], e.Literal(None, _type(wanted.value))))
            return call
        case "variant path":
            kind = type_of(call.args[0])
            if not isinstance(kind, t.VariantType):
                raise AnalysisException(
                    f'The column expression must be of type VARIANT, but "{pretty(call.args[0])}" is of type '
                    f'"{kind.simpleString().upper()}".',
                    "COLUMN_IS_NOT_VARIANT_TYPE",
                )
            return e.Call("variant_get", (*call.args[:2], e.Literal(None, t.VariantType())))
        case "variant_strip_nulls":
            return replace(call, args=(*call.args, _TRUE)) if len(call.args) == 1 else call
        case _:
            return replace(call, args=(*call.args, _TRUE)) if len(call.args) == 3 else call


def _type(text: str) -> t.DataType:
    from quiver.sql.ddl import parse_type

    return parse_type(text)


_FIRST: Callable[[e.Call], tuple[e.Expression, ...]] = lambda call: call.args[:1]  # noqa: E731
_ALL: Callable[[e.Call], tuple[e.Expression, ...]] = lambda call: call.args  # noqa: E731
_LAST: Callable[[e.Call], tuple[e.Expression, ...]] = lambda call: call.args[1:2]  # noqa: E731
_ORDERING: Final = {
    **dict.fromkeys(("=", "==", "<>", "!=", "<", "<=", ">", ">=", "<=>", "equal_null", "between", "nullif", "greatest", "least"), _ALL),
    **dict.fromkeys(("array_contains", "array_position", "array_remove", "arrays_overlap", "array_union", "array_intersect"), _ALL),
    **dict.fromkeys(("array_except", "count_distinct", "approx_count_distinct", "mode"), _ALL),
    **dict.fromkeys(("min", "max", "array_distinct", "array_min", "array_max", "sort_array"), _FIRST),
    **dict.fromkeys(("min_by", "max_by"), _LAST),
}
"""Functions that compare, and which of their arguments."""


def check_comparisons(expression: e.Expression) -> None:
    """Raises AnalysisException for a function that compares or hashes variants."""
    if isinstance(expression, e.In):
        compared: tuple[e.Expression, ...] = (expression.child,)
        name = "in"
    elif isinstance(expression, e.Call) and expression.name in ("hash", "xxhash64"):
        if any(holds(type_of(argument), t.VariantType) for argument in expression.args):
            raise AnalysisException(
                f'Cannot resolve "{pretty(expression)}" due to data type mismatch: Input to the function `{expression.name}` cannot '
                'contain elements of the "VARIANT" type yet.',
                "DATATYPE_MISMATCH.HASH_VARIANT_TYPE",
            )
        return
    elif isinstance(expression, e.Call) and expression.name in _ORDERING:
        compared, name = _ORDERING[expression.name](expression), expression.name
    elif isinstance(expression, e.Call) and expression.name in ("map", "create_map"):
        for key in expression.args[::2]:
            if holds(type_of(key), t.VariantType):
                raise AnalysisException(
                    f'Cannot resolve "{pretty(expression)}" due to data type mismatch: The key of map cannot be/contain "VARIANT".',
                    "DATATYPE_MISMATCH.INVALID_MAP_KEY_TYPE",
                )
        return
    else:
        return
    for argument in compared:
        check_order(expression, argument, name)


def check_keys(keys: Sequence[e.Expression]) -> None:
    """Raises AnalysisException for keys of groups that are variants, or have some."""
    for key in keys:
        if holds(kind := type_of(key), t.VariantType):
            raise AnalysisException(
                f'The expression "{pretty(key)}" cannot be used as a grouping expression because its data type '
                f'"{kind.simpleString().upper()}" is not an orderable data type.',
                "GROUP_EXPRESSION_TYPE_IS_NOT_ORDERABLE",
            )


def check_partitioned(keys: Sequence[e.Expression]) -> None:
    """Raises AnalysisException for analysed keys of a repartitioning that are variants, or have some."""
    for key in keys:
        if holds(kind := type_of(key), t.VariantType):
            raise AnalysisException(
                "The feature is not supported: Cannot use VARIANT producing expressions to partition a DataFrame, but the type of "
                f'expression "{pretty(key)}" is "{kind.simpleString().upper()}".',
                "UNSUPPORTED_FEATURE.PARTITION_BY_VARIANT",
            )


def check_partitions(window: e.WindowSpec) -> None:
    """Raises AnalysisException for keys of a window that are variants, or have some."""
    for key in window.partition_by:
        if holds(kind := type_of(key), t.VariantType):
            raise AnalysisException(
                f'Column expression "{pretty(key)}" cannot be sorted because its type "{kind.simpleString().upper()}" is not orderable.',
                "EXPRESSION_TYPE_IS_NOT_ORDERABLE",
            )
    for key in window.order_by:
        check_order(key, key.child if isinstance(key, e.SortKey) else key)


def check_order(
    expression: e.Expression, value: e.Expression, name: str = "sortorder", without: type[t.DataType] | UnionType = t.VariantType
) -> None:
    """Raises AnalysisException for a value that is of a type `without` order, or has some. `name`: what orders it in the expression."""
    if holds(kind := type_of(value), without):
        raise AnalysisException(
            f'Cannot resolve "{pretty(expression)}" due to data type mismatch: The `{name}` does not support ordering on type '
            f'"{kind.simpleString().upper()}".',
            "DATATYPE_MISMATCH.INVALID_ORDERING_TYPE",
        )
