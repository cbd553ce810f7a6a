"""Between which bounds numbers lie, as far as is known: where they can't leave their type nothing need be checked. Pure.

A number is counted in units of its type's last digit: 12.34 as decimal(10, 2) is 1234. So all bounds are integers, and exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Final

from quiver.sql import types as t
from quiver.sql.analysis.typing import function_of, type_of
from quiver.sql.tree import expressions as e
from quiver.sql.tree.relations import Relation

Range = tuple[int, int]
"""Both inside. Values may be null besides."""
LIMITS: Final[dict[type[t.DataType], Range]] = {
    kind: (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for kind, bits in ((t.ByteType, 8), (t.ShortType, 16), (t.IntegerType, 32), (t.LongType, 64))
}
_SURE: Final = 10**38 - 1
"""What every decimal of 38 digits holds."""
_HELD: Final = 2**127
"""What the kernel's hold, which does not count the digits of all that it computes."""
_AVERAGED: Final = 10**33 - 1
"""A sum that the kernel can divide by how many there are: it multiplies it by 100,000 before."""
_MANY: Final = 2**32
"""More rows than a group is expected to have: sums of integers of half a bigint's width are not checked."""
_MOST_ROWS: Final = 10**16
"""More rows than any query has: a thousand cores would be at it for a day."""
_SMALL: Final[dict[str, Range]] = {
    "length": (0, 2**31), "size": (-1, 2**31), "year": (-300_000, 300_000), "month": (1, 12), "quarter": (1, 4), "day": (1, 31),
    "hour": (0, 23), "minute": (0, 59), "second": (0, 59), "dayofweek": (1, 7), "dayofyear": (1, 366), "weekofyear": (1, 53),
    "weekday": (0, 6), "ascii": (0, 2**21), "sign": (-1, 1), "row_number": (1, 2**31 - 1), "rank": (1, 2**31 - 1),
}  # fmt: skip
_ONE_OF: Final[dict[str, slice]] = {
    **dict.fromkeys(("coalesce", "nvl", "ifnull", "greatest", "least"), slice(None)),
    **dict.fromkeys(("min", "max", "first", "first_value", "last", "last_value", "any_value", "nth_value", "nullif", "positive"), slice(1)),
    **dict.fromkeys(("if", "nvl2"), slice(1, None)),
    **dict.fromkeys(("lag", "lead"), slice(0, None, 2)),
}
"""Functions whose result, where it is not null, is one of these arguments."""


@dataclass(frozen=True, slots=True)
class Column:
    """Of a relation's column: a range of its values, and what the absolute values of all rows come to at most (None: not known)."""

    range: Range
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Extent:
    """Of a relation: at most so many rows (None: not known), and columns by attribute id, as far as more is known than their types."""

    rows: int | None = None
    columns: Mapping[int, Column] = field(default_factory=dict)


def limit_of(kind: t.DataType) -> Range | None:
    """What a type can hold; None for those that are not counted here."""
    if isinstance(kind, t.DecimalType):
        most = 10**kind.precision - 1 if kind.precision < 38 else _HELD
        return (-most, most)
    return LIMITS.get(type(kind))


def within(bounds: Range | None, limit: Range) -> Range:
    """What would lie outside has become an error, or null."""
    if bounds is None or bounds[0] > limit[1] or bounds[1] < limit[0]:
        return limit
    return (max(bounds[0], limit[0]), min(bounds[1], limit[1]))


def hull(ranges: Sequence[Range]) -> Range:
    """Of at least one."""
    return (min(low for low, _ in ranges), max(high for _, high in ranges))


class Ranges:
    """Of expressions over the rows of a relation of which `extent` is known. `of_relation`: what is known of a subquery's.

    Keeps what it has found by the identity of expressions, which must outlive it.
    """

    def __init__(self, extent: Extent | None = None, of_relation: Callable[[Relation], Extent] | None = None) -> None:
        self._extent = Extent() if extent is None else extent
        self._of_relation = of_relation
        self._kinds: dict[int, t.DataType] = {}
        self._found: dict[int, Range | None] = {}

    def of(self, expression: e.Expression) -> Range | None:
        """Bounds of an analysed expression's values; None when it is of a type that is not counted."""
        key = id(expression)
        if key not in self._found:
            limit = limit_of(self._kind(expression))
            self._found[key] = None if limit is None else within(self._bounds(expression), limit)
        return self._found[key]

    def total(self, expression: e.Expression) -> int | None:
        """What the absolute values of all rows come to at most; None: not known."""
        rows, bounds = self._extent.rows, self.of(expression)
        by_rows = None if bounds is None or rows is None else rows * _most(bounds)
        told = self._told_total(expression)
        return by_rows if told is None else told if by_rows is None else min(told, by_rows)

    def fits(self, call: e.Call) -> bool:
        """Whether what a call of arithmetic or a sum gives surely lies within its type, and what the kernel computes on the way.

        Of decimals only where types don't tell: those of all digits.
        """
        kind, name = self._kind(call), call.name.lower()
        if name in ("sum", "avg", "mean"):
            return self._sum_fits(call, kind, name)
        if isinstance(kind, t.DecimalType):
            return kind.precision == 38 and (
                (name in ("+", "-") and self._decimals_fit(call)) or (name == "*" and self._product_fits(call, kind))
            )
        limit = LIMITS.get(type(kind))
        bounds = None if limit is None else self._call(call)
        return limit is not None and bounds is not None and limit[0] <= bounds[0] and bounds[1] <= limit[1]

    def _sum_fits(self, call: e.Call, kind: t.DataType, name: str) -> bool:
        (value,) = call.args
        bounds, total = self.of(value), self.total(value)
        if bounds is None:
            return False
        if isinstance(kind, t.DecimalType):
            if name != "sum" and call.distinct:
                return False
            least = _MOST_ROWS * _most(bounds)
            return (least if total is None else min(least, total)) <= (_SURE if name == "sum" else _AVERAGED)
        return name == "sum" and ((total is not None and total < 2**63) or _most(bounds) * _MANY <= 2**63)

    def _decimals_fit(self, call: e.Call) -> bool:
        kinds, bounds = [self._kind(each) for each in call.args], [self.of(each) for each in call.args]
        scale = max(kind.scale for kind in kinds if isinstance(kind, t.DecimalType))
        return sum(
            2 * _HELD if not isinstance(kind, t.DecimalType) or each is None else _most(each) * 10 ** (scale - kind.scale)
            for kind, each in zip(kinds, bounds, strict=True)
        ) <= _SURE  # fmt: skip

    def _product_fits(self, call: e.Call, kind: t.DecimalType) -> bool:
        bounds = self._arithmetic("*", call)
        whole = kind.scale == sum(_scale(self._kind(argument)) for argument in call.args)  # Else digits go, which are computed before.
        return whole and bounds is not None and _most(bounds) <= _SURE

    def _kind(self, expression: e.Expression) -> t.DataType:
        # That of a call by those of its arguments, which are known: chains of calls are long.
        key = id(expression)
        if key not in self._kinds:
            kind = None
            if isinstance(expression, e.Call) and (returns := function_of(expression).returns) is not None:
                kind = returns([self._kind(argument) for argument in expression.args])
            self._kinds[key] = type_of(expression) if kind is None else kind
        return self._kinds[key]

    def _bounds(self, expression: e.Expression) -> Range | None:
        """None: no more is known than its type."""
        match expression:
            case e.Literal(value=None):
                return (0, 0)
            case e.Literal(value=int() | Decimal()):
                value = Fraction(expression.value) * 10 ** _scale(expression.type)
                return (floor(value), ceil(value))
            case e.Attribute():
                column = self._extent.columns.get(expression.id)
                return None if column is None else column.range
            case e.Alias():
                return self.of(expression.child)
            case e.Windowed():
                return self.of(expression.function)
            case e.Cast():
                return self._cast(expression)
            case e.Call():
                return self._call(expression)
            case e.Case():
                values = [value for _, value in expression.branches] + ([] if expression.otherwise is None else [expression.otherwise])
                return self._one_of(expression, values)
            case e.ScalarSubquery() if self._of_relation is not None:
                column = self._of_relation(expression.relation).columns.get(expression.relation.output[0].id)
                return None if column is None else column.range
            case _:
                return None

    def _one_of(self, expression: e.Expression, values: Sequence[e.Expression]) -> Range | None:
        kind, found = self._kind(expression), []
        for value in values:
            bounds = (0, 0) if isinstance(value, e.Literal) and value.value is None else self.of(value)
            if bounds is None or (bounds != (0, 0) and self._kind(value) != kind):
                return None
            found.append(bounds)
        return hull(found) if found else None

    def _cast(self, cast: e.Cast) -> Range | None:
        source = self._kind(cast.child)
        if isinstance(source, t.BooleanType):
            return _in_units((0, 1), 0, cast.type)
        bounds = self.of(cast.child)
        if bounds is None:
            return None
        return _in_units(bounds, _scale(source), cast.type)

    def _call(self, call: e.Call) -> Range | None:
        """Before it is checked, which may be more than the type holds; None: not known."""
        name = call.name.lower()
        if name in _SMALL:
            return _SMALL[name]
        if name in _ONE_OF:
            return self._one_of(call, call.args[_ONE_OF[name]])
        if name in ("count", "count_if"):
            return None if self._extent.rows is None else (0, self._extent.rows)
        if name == "sum":
            total, bounds = self.total(call.args[0]), self.of(call.args[0])
            return None if total is None or bounds is None else (-total if bounds[0] < 0 else 0, total if bounds[1] > 0 else 0)
        return self._arithmetic(name, call) if name in _ARITHMETIC else None

    def _arithmetic(self, name: str, call: e.Call) -> Range | None:
        kind = self._kind(call)
        operands = []
        for argument in call.args:
            bounds, scale = self.of(argument), _scale(self._kind(argument))
            if bounds is None:
                return None
            operands.append((bounds, scale))
        ((a, b), scale), *rest = operands
        if name == "abs":
            return (0 if a <= 0 <= b else min(abs(a), abs(b)), _most((a, b)))
        if not rest:
            return (-b, -a)
        (((c, d), other),) = rest
        if name == "*":
            corners = (a * c, a * d, b * c, b * d)
            return _in_units((min(corners), max(corners)), scale + other, kind)
        if name in ("%", "pmod"):
            if isinstance(kind, t.DecimalType):
                return None
            most = max(abs(c), abs(d))
            return (0 if a >= 0 or (name == "pmod" and c >= 0) else -most, most)
        both = max(scale, other)
        a, b = (bound * 10 ** (both - scale) for bound in (a, b))
        c, d = (bound * 10 ** (both - other) for bound in (c, d))
        return _in_units((a - d, b - c) if name == "-" else (a + c, b + d), both, kind)

    def _told_total(self, expression: e.Expression) -> int | None:
        """What is known without how many rows there are."""
        match expression:
            case e.Attribute():
                column = self._extent.columns.get(expression.id)
                return None if column is None else column.total
            case e.Alias():
                return self.total(expression.child)
            case e.Cast() if limit_of(expression.type) is not None and limit_of(self._kind(expression.child)) is not None:
                more = _scale(expression.type) - _scale(self._kind(expression.child))
                total = self.total(expression.child) if more >= 0 else None
                return None if total is None else total * 10**more
            case e.Case():
                # Of a row it is one of them.
                values = [value for _, value in expression.branches] + ([] if expression.otherwise is None else [expression.otherwise])
                values = [value for value in values if not (isinstance(value, e.Literal) and not value.value)]
                if any(self._kind(value) != self._kind(expression) for value in values):
                    return None
                totals = [self.total(value) for value in values]
                known = [total for total in totals if total is not None]
                if len(known) < len(totals):
                    return None
                return sum(known)
            case e.Call(name="sum" | "min" | "max", args=(value,)):
                return self.total(value)  # Every row is in one group. (Those of grouping sets are counted where they are made.)
            case e.Call(name="count" | "count_if"):
                return self._extent.rows
            case _:
                return None


def _most(bounds: Range) -> int:
    return max(abs(bounds[0]), abs(bounds[1]))


def _scale(kind: t.DataType) -> int:
    return kind.scale if isinstance(kind, t.DecimalType) else 0


def _in_units(bounds: Range, scale: int, kind: t.DataType) -> Range:
    """Of values with so many digits of a fraction, in units of another type, however they are rounded to it."""
    more = _scale(kind) - scale
    if more >= 0:
        return (bounds[0] * 10**more, bounds[1] * 10**more)
    one = 10**-more
    return (bounds[0] // one, -(-bounds[1] // one))


_ARITHMETIC: Final = frozenset({"+", "-", "*", "negative", "- ", "abs", "%", "pmod"})


def range_of(expression: e.Expression) -> Range | None:
    """As Ranges.of, of an expression over anything."""
    return Ranges().of(expression)


def stays(call: e.Call) -> bool:
    """As Ranges.fits, of a call over anything."""
    return Ranges().fits(call)
