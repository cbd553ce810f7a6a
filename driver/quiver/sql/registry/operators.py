"""Operators: arithmetic, comparison, logic."""

from __future__ import annotations

from collections.abc import Sequence

from quiver.sql import types as t
from quiver.sql.analysis.coercion import as_decimal, bounded, expect_common
from quiver.sql.errors import AnalysisException
from quiver.sql.lowering.names import cast
from quiver.sql.registry.model import Function, Types, register, template


def _boolean(kinds: Types) -> t.DataType:
    return t.BooleanType()


def _numbers(operator: str, kinds: Types) -> Sequence[t.DataType | None]:
    plain = [t.DoubleType() if isinstance(kind, t.StringType) else kind for kind in kinds]
    for kind in plain:
        if not isinstance(kind, t.NumericType | t.NullType | t.DayTimeIntervalType | t.YearMonthIntervalType):
            raise AnalysisException(
                f'Cannot resolve "{operator}" due to data type mismatch: it takes numbers, not "{kind.simpleString().upper()}".',
                "DATATYPE_MISMATCH.BINARY_OP_WRONG_TYPE",
            )
    both = expect_common(operator, plain)
    if isinstance(both, t.NullType):
        both = t.DoubleType()
    if isinstance(both, t.DecimalType):
        return [as_decimal(kind) if isinstance(kind, t.IntegralType | t.DecimalType) else both for kind in plain]
    return [both] * len(plain)


def _sum_type(kinds: Types) -> t.DataType:
    a, b = kinds
    if isinstance(a, t.DecimalType) and isinstance(b, t.DecimalType):
        scale = max(a.scale, b.scale)
        return bounded(max(a.precision - a.scale, b.precision - b.scale) + scale + 1, scale)
    return a


def _product_type(kinds: Types) -> t.DataType:
    a, b = kinds
    if isinstance(a, t.DecimalType) and isinstance(b, t.DecimalType):
        return bounded(a.precision + b.precision + 1, a.scale + b.scale)
    return a


def _quotient_type(kinds: Types) -> t.DataType:
    a, b = kinds
    if isinstance(a, t.DecimalType) and isinstance(b, t.DecimalType):
        scale = max(6, a.scale + b.precision + 1)
        return bounded(a.precision - a.scale + b.scale + scale, scale)
    return a


def _division(kinds: Types) -> Sequence[t.DataType | None]:
    wanted = _numbers("/", kinds)
    return [kind if isinstance(kind, t.DecimalType) else t.DoubleType() for kind in wanted]


_DATES = (t.DateType, t.TimestampType, t.TimestampNTZType)
_INTERVALS = (t.DayTimeIntervalType, t.YearMonthIntervalType)


def _plus(kinds: Types) -> Sequence[t.DataType | None]:
    if any(isinstance(kind, _DATES) for kind in kinds):
        return [None, None]
    return _numbers("+", kinds)


def _plus_type(kinds: Types) -> t.DataType:
    for kind, other in (kinds, kinds[::-1]):
        if isinstance(kind, _DATES):
            return t.TimestampType() if isinstance(kind, t.DateType) and isinstance(other, t.DayTimeIntervalType) else kind
    return _sum_type(kinds)


def _minus_type(kinds: Types) -> t.DataType:
    a, b = kinds
    if isinstance(a, _DATES) and isinstance(b, _DATES):
        return (
            t.DayTimeIntervalType(t.DayTimeIntervalType.DAY)
            if isinstance(a, t.DateType) and isinstance(b, t.DateType)
            else t.DayTimeIntervalType()
        )
    return _plus_type(kinds)


def _minus(kinds: Types) -> Sequence[t.DataType | None]:
    return [None, None] if any(isinstance(kind, _DATES) for kind in kinds) else _numbers("-", kinds)


register(Function("+", template("({0} + {1})"), _plus_type, _plus, arity=(2, 2)))
register(Function("-", template("({0} - {1})"), _minus_type, _minus, arity=(2, 2)))
register(Function("*", template("({0} * {1})"), _product_type, lambda kinds: _numbers("*", kinds), arity=(2, 2)))


def _remainder(kinds: Types) -> Sequence[t.DataType | None]:
    return [expect_common("%", [kind for kind in _numbers("%", kinds) if kind is not None])] * 2


def _quotient(args: Sequence[str], kinds: Types) -> str:
    kind = _quotient_type(kinds)
    text = f"({args[0]} / {args[1]})"
    return cast(text, kind) if isinstance(kind, t.DecimalType) else text


register(Function("/", _quotient, _quotient_type, _division, arity=(2, 2)))
register(
    Function("%", template("({0} % {1})"), lambda kinds: kinds[0], _remainder, arity=(2, 2)),
    "mod",
)
register(Function("div", template("CAST({0} / {1} AS BIGINT)"), lambda kinds: t.LongType(), lambda kinds: [t.LongType()] * 2, arity=(2, 2)))
register(Function("negative", template("(- {0})"), lambda kinds: kinds[0], lambda kinds: _numbers("-", kinds), arity=(1, 1)))
register(Function("positive", template("{0}"), lambda kinds: kinds[0], lambda kinds: _numbers("+", kinds), arity=(1, 1)))


def _alike(operator: str) -> Function:
    return Function(
        operator, template(f"({{0}} {operator} {{1}})"), _boolean, lambda kinds: [expect_common(operator, kinds)] * 2, arity=(2, 2)
    )


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


register(Function("and", template("({0} AND {1})"), _boolean, _logic, arity=(2, 2)))
register(Function("or", template("({0} OR {1})"), _boolean, _logic, arity=(2, 2)))
register(Function("not", template("(NOT {0})"), _boolean, _logic, arity=(1, 1)), "!")
register(Function("isnull", template("({0} IS NULL)"), _boolean, nullable=False, arity=(1, 1)))
register(Function("isnotnull", template("({0} IS NOT NULL)"), _boolean, nullable=False, arity=(1, 1)))


def _texts(kinds: Types) -> Sequence[t.DataType | None]:
    return [t.StringType()] * len(kinds)


register(Function("like", template("({0} LIKE {1})"), _boolean, _texts, arity=(2, 2)))
register(Function("ilike", template("({0} ILIKE {1})"), _boolean, _texts, arity=(2, 2)))
register(Function("rlike", template("regexp_like({0}, {1})"), _boolean, _texts, arity=(2, 2)), "regexp", "regexp_like")
