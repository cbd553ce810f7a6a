"""Sums, differences and products, exact or an error."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from quiver.sql import types as t
from quiver.sql.analysis.ranges import LIMITS
from quiver.sql.lowering.names import cast, constant, text
from quiver.sql.registry.adding_times import minus_operands, minus_type, plus_operands, plus_type, sum_of_times
from quiver.sql.registry.guarding import CHECKED, guarded, names_much, narrowed
from quiver.sql.registry.model import Function, Types, register, template
from quiver.sql.registry.operands import numbers, product_type
from quiver.sql.registry.python import checked

_WIDE = t.DecimalType(19, 0)
_POSITIVE = re.compile(r"\d+")
_LONGEST = "9.2233720368547e18"
"""A product of doubles below it is, whatever was rounded, of bigints whose product is one."""


def _arithmetic(operator: str, result_type: Callable[[Types], t.DataType]) -> Callable[[Sequence[str], Types], str]:
    """Integers that leave their type are an error: smaller ones are computed as bigint and cast back; bigints, which wrap around in the
    kernel, are looked at afterwards."""

    def lower(args: Sequence[str], kinds: Types) -> str:
        kind = result_type(kinds)
        a, b = args
        of_times = sum_of_times(operator, args, kinds)
        if of_times is not None:
            return of_times
        if not all(isinstance(operand, t.IntegralType) for operand in kinds):
            if isinstance(kind, t.DecimalType):
                return cast(_decimals(operator, args, kinds), kind)
            return f"({a} {operator} {b})"
        assert isinstance(kind, t.IntegralType)
        if names_much(args):
            return checked([CHECKED[operator]], args, kind)
        if not isinstance(kind, t.LongType):
            return narrowed(f"({cast(a, t.LongType())} {operator} {cast(b, t.LongType())})", kind)
        if operator == "*":
            product = f"abs({cast(a, t.DoubleType())} * {cast(b, t.DoubleType())})"
            wide = narrowed(f"({cast(a, _WIDE)} * {cast(b, _WIDE)})", kind)
            return f"(CASE WHEN {product} >= {_LONGEST} THEN {wide} ELSE {a} * {b} END)"
        moved = f"{a} {operator} {b} {'<' if operator == '+' else '>'} {a}"
        if _POSITIVE.fullmatch(b):
            wrapped = moved
        elif operator == "+" and _POSITIVE.fullmatch(a):
            wrapped = f"{a} + {b} < {b}"
        else:
            wrapped = f"({moved}) <> ({b} < 0)"
        exact = f"({cast(a, _WIDE)} {operator} {cast(b, _WIDE)})"
        return f"({guarded(wrapped, 'ARITHMETIC_OVERFLOW', exact, kind, f'{a} {operator} {b}')})"

    return lower


def _decimals(operator: str, args: Sequence[str], kinds: Types, lenient: bool = False) -> str:
    """Of sums that may take more digits than a decimal has, the kernel gives those digits; of wider ones, cast back, it makes an error."""
    a, b = kinds
    assert isinstance(a, t.DecimalType)
    assert isinstance(b, t.DecimalType)
    if operator == "*":
        return _product(args, a, b, lenient)
    scale = max(a.scale, b.scale)
    if max(a.precision - a.scale, b.precision - b.scale) + scale < 38:
        return f"({args[0]} {operator} {args[1]})"
    left, right = (_wide_decimal(arg, t.DecimalType(38, scale)) for arg in args)
    return f"({left} {operator} {right})"


def _product(args: Sequence[str], a: t.DecimalType, b: t.DecimalType, lenient: bool) -> str:
    """Where digits of the fraction are to go the kernel needs 76, since those before may not fit. Else its own is looked at: its numbers
    have room for somewhat more than 38 digits."""
    product = f"({args[0]} * {args[1]})"
    if a.precision + b.precision <= 38:
        return product
    kind = product_type((a, b))
    assert isinstance(kind, t.DecimalType)
    if kind.scale == a.scale + b.scale and not names_much(args) and not lenient:
        digits = "9" * 38
        most = cast(text(f"{digits[kind.scale :]}.{digits[: kind.scale]}".rstrip(".")), kind)
        return f"(CASE WHEN abs({product}) > {most} THEN {cast(_wide_decimal(product, kind), kind)} ELSE {product} END)"
    return f"({_wide_decimal(args[0], a)} * {_wide_decimal(args[1], b)})"


def _wide_decimal(value: str, kind: t.DecimalType) -> str:
    return f"arrow_cast({value}, 'Decimal256(76, {kind.scale})')"


def _plain(operator: str, result_type: Callable[[Types], t.DataType]) -> Callable[[Sequence[str], Types], str]:
    def lower(args: Sequence[str], kinds: Types) -> str:
        kind = result_type(kinds)
        plain = f"({args[0]} {operator} {args[1]})"
        return cast(plain, kind) if isinstance(kind, t.DecimalType) else plain

    return lower


def _try(operator: str, result_type: Callable[[Types], t.DataType]) -> Callable[[Sequence[str], Types], str]:
    def lower(args: Sequence[str], kinds: Types) -> str:
        kind = result_type(kinds)
        of_times = sum_of_times(operator, args, kinds, True)
        if of_times is not None:
            return of_times
        if isinstance(kind, t.IntegralType):
            return cast(f"({cast(args[0], _WIDE)} {operator} {cast(args[1], _WIDE)})", kind, lenient=True)
        if isinstance(kind, t.DecimalType):
            return cast(_decimals(operator, args, kinds, True), kind, lenient=True)
        return f"({args[0]} {operator} {args[1]})"

    return lower


register(Function("+", _arithmetic("+", plus_type), plus_type, plus_operands, arity=(2, 2), unchecked=_plain("+", plus_type)))
register(Function("-", _arithmetic("-", minus_type), minus_type, minus_operands, arity=(2, 2), unchecked=_plain("-", minus_type)))
register(
    Function(
        "*",
        _arithmetic("*", product_type),
        product_type,
        lambda kinds: numbers("*", kinds),
        arity=(2, 2),
        unchecked=_plain("*", product_type),
    )
)
register(Function("try_add", _try("+", plus_type), plus_type, plus_operands, nullable=True, arity=(2, 2)))
register(Function("try_subtract", _try("-", minus_type), minus_type, minus_operands, nullable=True, arity=(2, 2)))
register(Function("try_multiply", _try("*", product_type), product_type, lambda kinds: numbers("*", kinds), nullable=True, arity=(2, 2)))


def _negated(args: Sequence[str], kinds: Types) -> str:
    (kind,) = kinds
    if isinstance(kind, t.IntegralType) and names_much(args):
        return checked(["negate"], args, kind)
    if isinstance(kind, t.IntegralType):
        # The kernel's own is checked; its error does not say that it is one of arithmetic.
        least = constant(LIMITS[type(kind)][0], kind)
        return f"({guarded(f'{args[0]} = {least}', 'ARITHMETIC_OVERFLOW', args[0], kind, f'- {args[0]}')})"
    return f"(- {args[0]})"


register(
    Function(
        "negative",
        _negated,
        lambda kinds: kinds[0],
        lambda kinds: numbers("-", kinds),
        arity=(1, 1),
        unchecked=template("(- {0})"),
    ),
    "- ",  # As it is written in SQL, where the column's name tells.
)
register(Function("positive", template("{0}"), lambda kinds: kinds[0], lambda kinds: numbers("+", kinds), arity=(1, 1)))
