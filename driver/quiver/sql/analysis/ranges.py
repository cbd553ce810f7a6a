"""Between which bounds integers lie, as far as an expression tells: where they can't leave their type nothing need be checked. Pure."""

from __future__ import annotations

from typing import Final

from quiver.sql import types as t
from quiver.sql.analysis.typing import type_of
from quiver.sql.tree import expressions as e

Range = tuple[int, int]
LIMITS: Final[dict[type[t.DataType], Range]] = {
    kind: (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for kind, bits in ((t.ByteType, 8), (t.ShortType, 16), (t.IntegerType, 32), (t.LongType, 64))
}
_MANY: Final = 2**32
"""More rows than a group is expected to have: sums of integers of half a bigint's width are not checked."""
_SMALL: Final[dict[str, Range]] = {
    "length": (0, 2**31), "size": (-1, 2**31), "year": (-300_000, 300_000), "month": (1, 12), "quarter": (1, 4), "day": (1, 31),
    "hour": (0, 23), "minute": (0, 59), "second": (0, 59), "dayofweek": (1, 7), "dayofyear": (1, 366), "weekofyear": (1, 53),
    "weekday": (0, 6), "ascii": (0, 2**21), "sign": (-1, 1), "row_number": (1, 2**31 - 1), "rank": (1, 2**31 - 1),
}  # fmt: skip


def range_of(expression: e.Expression) -> Range | None:
    """Of an analysed expression of an integral type: bounds, both inside, that its values have; None when it is of another type."""
    kind = type_of(expression)
    limit = LIMITS.get(type(kind))
    if limit is None:
        return None
    match expression:
        case e.Literal(value=int()):
            return (int(expression.value), int(expression.value))
        case e.Alias():
            return range_of(expression.child)
        case e.Cast():
            return _within(range_of(expression.child), limit)
        case e.Call():
            return _within(_call(expression), limit)
        case e.Case():
            values = [value for _, value in expression.branches] + ([] if expression.otherwise is None else [expression.otherwise])
            known = [_within(range_of(value), limit) for value in values]
            return (min(low for low, _ in known), max(high for _, high in known))
        case _:
            return limit


def stays(call: e.Call) -> bool:
    """Whether the integers that a call of arithmetic gives surely lie within its type."""
    if call.name.lower() == "sum":
        bounds = range_of(call.args[0])
        return bounds is not None and (call.distinct or max(abs(bounds[0]), abs(bounds[1])) * _MANY <= 2**63)
    kind = type_of(call)
    limit = LIMITS.get(type(kind))
    bounds = None if limit is None else _call(call)
    return limit is not None and bounds is not None and limit[0] <= bounds[0] and bounds[1] <= limit[1]


def _within(bounds: Range | None, limit: Range) -> Range:
    # What would lie outside has become an error.
    return limit if bounds is None else (max(bounds[0], limit[0]), min(bounds[1], limit[1]))


def _call(call: e.Call) -> Range | None:
    """Before it is checked, which may be more than the type holds."""
    name = call.name.lower()
    if name in _SMALL:
        return _SMALL[name]
    if name not in ("+", "-", "*", "negative", "%", "pmod"):
        return None
    operands = [range_of(argument) for argument in call.args]
    if any(operand is None for operand in operands):
        return None
    (a, b), *rest = [operand for operand in operands if operand is not None]
    if not rest:
        return (-b, -a)
    ((c, d),) = rest
    match name:
        case "+":
            return (a + c, b + d)
        case "-":
            return (a - d, b - c)
        case "*":
            corners = (a * c, a * d, b * c, b * d)
            return (min(corners), max(corners))
        case _:
            most = max(abs(c), abs(d))
            return (0 if name == "pmod" or a >= 0 else -most, most)
