"""Folding arrays by functions of users: `aggregate(xs, 0, (acc, x) -> acc + x)`, and sorting by them.

The kernel has no fold. The driver writes such a lambda as a Python expression over the functions here, which treat nulls as SQL does.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from quiver_proto.spark_functions import casts
from quiver_proto.spark_functions.java import SparkValueError

_WIDE = Context(prec=80, rounding=ROUND_HALF_UP)


class Folded:
    """`sources`: Python expressions of lambdas, made by the driver: merge and finish of an aggregate, or the comparator of a sort."""

    def __init__(self, kind: str, sources: tuple[str, ...], constants: tuple[Any, ...]) -> None:
        self._given = (kind, sources, constants)
        self.__module__, self.__qualname__, self.__name__ = __name__, f"{kind} {sources} {constants!r}", kind
        self._functions: list[Callable[..., Any]] = []

    def __reduce__(self) -> Any:
        return Folded, self._given

    def __call__(self, values: list[Any] | None, *given: Any) -> Any:
        kind, sources, constants = self._given
        if values is None:
            return None
        if not self._functions:
            self._functions = [eval(source, {**globals(), "k": constants}) for source in sources]  # written by our driver
        if kind == "sort":
            return sorted(values, key=functools.cmp_to_key(lambda a, b: _order(self._functions[0](given, a, b))))
        merge, finish = self._functions
        total, *captured = given
        for value in values:
            total = merge(captured, total, value)
        return finish(captured, total)


def _order(sign: int | None) -> int:
    if sign is None:
        raise SparkValueError("COMPARATOR_RETURNS_NULL", "The comparator has returned a NULL. It should return a positive, negative or 0.")
    return sign


def _fits(value: int, bits: int) -> int:
    if -(1 << bits - 1) <= value < 1 << bits - 1:
        return value
    raise SparkValueError("ARITHMETIC_OVERFLOW", f"{value} leaves the range of its type. Use a wider type for the start value.")


def arithmetic(operator: str, a: Any, b: Any, bits: int, scale: int) -> Any:
    """`bits`: of integers, 0 otherwise; `scale`: of decimals, -1 otherwise."""
    if a is None or b is None:
        return None
    if scale >= 0:
        a, b = Decimal(a), Decimal(b)
    if operator in "/%" and b == 0:
        raise SparkValueError("DIVIDE_BY_ZERO" if operator == "/" else "REMAINDER_BY_ZERO", "Division by zero.")
    result: Any
    match operator:
        case "+":
            result = _WIDE.add(a, b) if scale >= 0 else a + b
        case "-":
            result = _WIDE.subtract(a, b) if scale >= 0 else a - b
        case "*":
            result = _WIDE.multiply(a, b) if scale >= 0 else a * b
        case "/":
            result = _WIDE.divide(a, b) if scale >= 0 else a / b
        case _:
            result = math.fmod(a, b) if isinstance(a, float) or isinstance(b, float) else a - b * int(a / b) if scale < 0 else a % b
    if bits:
        return _fits(result, bits)
    return result.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP, _WIDE) if scale >= 0 else result


def compared(operator: str, a: Any, b: Any) -> bool | None:
    if operator == "<=>":
        return (a is None) == (b is None) and (a is None or a == b or (a != a and b != b))
    if a is None or b is None:
        return None
    if a != a or b != b:  # NaN is larger than all others, and equal to itself.
        a, b = a != a, b != b
    match operator:
        case "=":
            return bool(a == b)
        case "<>":
            return bool(a != b)
        case "<":
            return bool(a < b)
        case "<=":
            return bool(a <= b)
        case ">":
            return bool(a > b)
        case _:
            return bool(a >= b)


def both(a: bool | None, b: bool | None) -> bool | None:
    return False if a is False or b is False else None if a is None or b is None else True


def either(a: bool | None, b: bool | None) -> bool | None:
    return True if a or b else None if a is None or b is None else False


def strictly(function: Callable[..., Any], *values: Any) -> Any:
    """Of values none of which is null, else null."""
    return None if None in values else function(*values)


def first_of(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def extreme(largest: bool, *values: Any) -> Any:
    present = [value for value in values if value is not None]
    if not present:
        return None
    key = functools.cmp_to_key(lambda a, b: -1 if compared("<", a, b) else 1 if compared(">", a, b) else 0)
    return max(present, key=key) if largest else min(present, key=key)


def joined(*values: Any) -> Any:
    if None in values or not values:
        return None
    return [item for value in values for item in value] if isinstance(values[0], list) else "".join(values)


def converted(value: Any, kind: str, bits: int, scale: int) -> Any:
    """A cast between numbers, and of what there is to text."""
    if value is None:
        return None
    if kind == "string":
        return casts.written(value) if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
    if bits:
        return _fits(int(value), bits)
    if scale >= 0:
        return Decimal(repr(value) if isinstance(value, float) else value).quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP, _WIDE)
    return float(value) if kind in ("double", "float") else bool(value) if kind == "boolean" else value


def member(value: Any, name: str) -> Any:
    return None if value is None else value[name]


def item(values: Any, at: Any) -> Any:
    if values is None or at is None:
        return None
    if isinstance(at, int) and not (values and isinstance(values[0], tuple)):
        return values[at] if 0 <= at < len(values) else None
    return next((value for key, value in values if key == at), None)
