"""Comparison and logic."""

from __future__ import annotations

from collections.abc import Sequence

from quiver.sql import types as t
from quiver.sql.analysis.coercion import expect_common
from quiver.sql.errors import AnalysisException
from quiver.sql.registry.model import Function, Types, register, template


def _boolean(kinds: Types) -> t.DataType:
    return t.BooleanType()


def _alike(operator: str) -> Function:
    def coerce(kinds: Types) -> Sequence[t.DataType | None]:
        both = expect_common(operator, kinds)
        if isinstance(both, t.MapType | t.CalendarIntervalType):
            raise AnalysisException(
                f'Cannot resolve "{operator}" due to data type mismatch: The `{operator}` does not support ordering on type '
                f'"{both.simpleString().upper()}".',
                "DATATYPE_MISMATCH.INVALID_ORDERING_TYPE",
            )
        return [both] * 2

    return Function(operator, template(f"({{0}} {operator} {{1}})"), _boolean, coerce, arity=(2, 2))


for _operator in ("=", "<", "<=", ">", ">="):
    register(_alike(_operator), *({"=": ("==",)}.get(_operator, ())))
register(Function("<>", template("({0} <> {1})"), _boolean, lambda kinds: [expect_common("<>", kinds)] * 2, arity=(2, 2)), "!=")
register(
    Function(
        "<=>",
        template("({0} IS NOT DISTINCT FROM {1})"),
        _boolean,
        lambda kinds: [expect_common("<=>", kinds)] * 2,
        nullable=False,
        arity=(2, 2),
    ),
    "equal_null",
)


def _logic(kinds: Types) -> Sequence[t.DataType | None]:
    for kind in kinds:
        if not isinstance(kind, t.BooleanType | t.NullType):
            raise AnalysisException(
                f'a condition must be "BOOLEAN", not "{kind.simpleString().upper()}".', "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE"
            )
    return [t.BooleanType()] * len(kinds)


register(
    Function(
        "between",
        template("({0} BETWEEN {1} AND {2})"),
        _boolean,
        lambda kinds: [expect_common("between", kinds)] * 3,
        arity=(3, 3),
    )
)
register(Function("and", template("({0} AND {1})"), _boolean, _logic, arity=(2, 2)))
register(Function("or", template("({0} OR {1})"), _boolean, _logic, arity=(2, 2)))
register(Function("not", template("(NOT {0})"), _boolean, _logic, arity=(1, 1)), "!")
register(Function("isnull", template("({0} IS NULL)"), _boolean, nullable=False, arity=(1, 1)))
register(Function("isnotnull", template("({0} IS NOT NULL)"), _boolean, nullable=False, arity=(1, 1)))
