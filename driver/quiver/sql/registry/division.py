"""Quotients and remainders."""

from __future__ import annotations

from collections.abc import Sequence

from quiver.sql import types as t
from quiver.sql.analysis.coercion import expect_common
from quiver.sql.lowering.names import cast
from quiver.sql.registry.guarding import guarded, never_zero
from quiver.sql.registry.model import Function, Types, register, template
from quiver.sql.registry.operands import numbers, quotient_type, remainder_type


def _division(kinds: Types) -> Sequence[t.DataType | None]:
    wanted = numbers("/", kinds)
    return [kind if isinstance(kind, t.DecimalType) else t.DoubleType() for kind in wanted]


def _zero_is_null(value: str) -> str:
    # -0.0 is no less zero.
    return value if never_zero(value) else f"CASE WHEN {value} <> 0 THEN {value} END"


def _remainder(kinds: Types) -> Sequence[t.DataType | None]:
    wanted = numbers("%", kinds)
    if all(isinstance(kind, t.DecimalType) for kind in wanted):
        return wanted
    return [expect_common("%", [kind for kind in numbers("%", kinds) if kind is not None])] * 2


def _divided(operation: str, args: Sequence[str], kind: t.DataType, error: str = "DIVIDE_BY_ZERO") -> str:
    if never_zero(args[1]):
        return operation
    return guarded(
        f"{args[1]} = 0 AND {args[0]} IS NOT NULL",
        error,
        f"concat({', '.join(cast(value, t.StringType()) for value in args)})",
        kind,
        operation,
    )


def decimal_quotient(a: str, b: str, kinds: Types, kind: t.DecimalType, lenient: bool = False) -> str:
    """Rounded half up to the scale of `kind`. The kernel gives four digits more than the dividend's, and cuts the others off.

    Zero as a divisor is the kernel's own error.
    """
    dividend, divisor = kinds
    assert isinstance(dividend, t.DecimalType)
    assert isinstance(divisor, t.DecimalType)
    scale = max(kind.scale - 3, dividend.scale)  # Four more: one more than is wanted, to round by.
    precision = dividend.precision - dividend.scale + scale
    # What the kernel divides is the dividend, shifted until the quotient has its scale.
    if max(precision, divisor.precision, precision + 4 + divisor.scale) <= 37:
        return cast(f"({cast(a, t.DecimalType(precision, scale))} / {b})", kind, lenient)
    wide = f"arrow_cast({a}, 'Decimal256(76, {_quotient_scale(dividend, divisor, kind) - 4})')"
    return cast(f"({wide} / arrow_cast({b}, 'Decimal256({divisor.precision}, {divisor.scale})'))", kind, lenient)


def _quotient_scale(dividend: t.DecimalType, divisor: t.DecimalType, kind: t.DecimalType) -> int:
    return min(max(kind.scale - 3, dividend.scale), 70 - divisor.scale) + 4


def computed_scale(operator: str, a: t.DecimalType, b: t.DecimalType) -> int:
    """How many digits of the fraction the kernel computes of a product or quotient, before it is cast to the result's type."""
    kind = quotient_type((a, b))
    return a.scale + b.scale if operator == "*" or not isinstance(kind, t.DecimalType) else _quotient_scale(a, b, kind)


def _quotient(args: Sequence[str], kinds: Types) -> str:
    kind = quotient_type(kinds)
    if isinstance(kind, t.DecimalType):
        return decimal_quotient(args[0], args[1], kinds, kind)
    return _divided(f"({args[0]} / {args[1]})", args, kind)


def _try_quotient(args: Sequence[str], kinds: Types) -> str:
    kind = quotient_type(kinds)
    divisor = _zero_is_null(args[1])
    return decimal_quotient(args[0], divisor, kinds, kind, True) if isinstance(kind, t.DecimalType) else f"({args[0]} / {divisor})"


def _mod(args: Sequence[str], kinds: Types) -> str:
    kind = remainder_type(kinds)
    rest = f"({args[0]} % {args[1]})"
    return _divided(cast(rest, kind) if isinstance(kind, t.DecimalType) else rest, args, kind, "REMAINDER_BY_ZERO")


def _pmod(args: Sequence[str], kinds: Types) -> str:
    a, b = args
    kind = remainder_type(kinds)
    positive = f"CASE WHEN ({a} % {b}) < 0 THEN (({a} % {b}) + {b}) % {b} ELSE {a} % {b} END"
    return _divided(cast(positive, kind) if isinstance(kind, t.DecimalType) else positive, args, kind, "REMAINDER_BY_ZERO")


register(Function("/", _quotient, quotient_type, _division, arity=(2, 2)))
register(Function("try_divide", _try_quotient, quotient_type, _division, nullable=True, arity=(2, 2)))
register(Function("%", _mod, remainder_type, _remainder, arity=(2, 2)), "mod")
register(Function("pmod", _pmod, remainder_type, _remainder, arity=(2, 2)))
register(
    Function(
        "try_mod",
        lambda args, kinds: cast(f"({args[0]} % {_zero_is_null(args[1])})", remainder_type(kinds)),
        remainder_type,
        _remainder,
        nullable=True,
        arity=(2, 2),
    )
)
register(
    Function(
        "div",
        template("({0} / {1})"),
        lambda kinds: t.LongType(),
        lambda kinds: [t.LongType()] * 2,
        arity=(2, 2),
    )
)
