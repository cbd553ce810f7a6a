"""Dates, times of the day and intervals, added and subtracted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from quiver.sql import types as t
from quiver.sql.lowering.names import cast
from quiver.sql.registry.define import mismatch
from quiver.sql.registry.guarding import guarded
from quiver.sql.registry.model import Types
from quiver.sql.registry.operands import differing, numbers, sum_type
from quiver_proto.spark_functions.times_of_day import DAY

_DATES = (t.DateType, t.TimestampType, t.TimestampNTZType)
DAYS: Final = '"INT", "SMALLINT" or "TINYINT"'
"""The types that count days."""


def is_count_of_days(kind: t.DataType) -> bool:
    """Whether a date can be moved by as many days: by a BIGINT or a number with a fraction it can't."""
    return isinstance(kind, t.ByteType | t.ShortType | t.IntegerType | t.NullType)


def _is_days(kind: t.DataType) -> bool:
    """An interval of whole days, which added to a date gives a date."""
    return isinstance(kind, t.DayTimeIntervalType) and kind.startField == kind.endField == t.DayTimeIntervalType.DAY


def _is_moved(kinds: Types) -> bool:
    """Whether it is a time of the day and an interval."""
    return any(isinstance(kind, t.TimeType) for kind in kinds) and any(isinstance(kind, t.DayTimeIntervalType) for kind in kinds)


def plus_operands(kinds: Types) -> Sequence[t.DataType | None]:
    """What the arguments of + are cast to (None: as they are). Raises AnalysisException for what can't be added."""
    if any(isinstance(kind, t.TimeType) for kind in kinds):
        if _is_moved(kinds):
            return [None, None]
        raise differing("+", kinds)
    return _moved("+", kinds) if any(isinstance(kind, _DATES) for kind in kinds) else numbers("+", kinds)


def _moved(operator: str, kinds: Types) -> Sequence[t.DataType | None]:
    """What a date or an instant and what it is moved by are cast to."""
    for kind, other in (kinds, kinds[::-1]):
        if isinstance(kind, t.DateType) and isinstance(other, t.DayTimeIntervalType) and not _is_days(other):
            return [t.TimestampType() if each is kind else None for each in kinds]
        if isinstance(kind, t.DateType) and is_count_of_days(other):
            return [None if each is kind else t.IntegerType() for each in kinds]
    if any(isinstance(kind, t.AnsiIntervalType | t.NullType) for kind in kinds):
        return [None, None]
    by = [kind for kind in kinds if not isinstance(kind, t.DateType)]
    if len(by) < 2 and not any(isinstance(kind, _DATES) for kind in by):
        read = t.DateType() if not by or isinstance(by[0], t.StringType) else by[0]  # A text beside a date is one.
        raise mismatch("date_add" if operator == "+" else "date_sub", 2, DAYS, read)
    raise differing(operator, kinds)


def plus_type(kinds: Types) -> t.DataType:
    """The type of a sum of these."""
    for kind, other in (kinds, kinds[::-1]):
        if isinstance(kind, t.TimeType) and isinstance(other, t.DayTimeIntervalType):
            return t.TimeType(6) if other.endField == t.DayTimeIntervalType.SECOND else kind
    for kind in kinds:
        if isinstance(kind, _DATES):
            return kind
    return sum_type(kinds)


def minus_type(kinds: Types) -> t.DataType:
    """The type of a difference of these."""
    a, b = kinds
    if isinstance(a, t.TimeType) and isinstance(b, t.TimeType):
        return t.DayTimeIntervalType(t.DayTimeIntervalType.HOUR, t.DayTimeIntervalType.SECOND)
    if isinstance(a, _DATES) and isinstance(b, _DATES):
        return (
            t.DayTimeIntervalType(t.DayTimeIntervalType.DAY, t.DayTimeIntervalType.DAY)
            if isinstance(a, t.DateType) and isinstance(b, t.DateType)
            else t.DayTimeIntervalType()
        )
    return plus_type(kinds)


def minus_operands(kinds: Types) -> Sequence[t.DataType | None]:
    """What the arguments of - are cast to (None: as they are). Raises AnalysisException for what can't be subtracted."""
    if any(isinstance(kind, t.TimeType) for kind in kinds):
        if isinstance(kinds[0], t.TimeType) and isinstance(kinds[1], t.TimeType | t.DayTimeIntervalType):
            return [None, None]
        raise differing("-", kinds)
    for kind, other in (kinds, kinds[::-1]):
        if isinstance(kind, t.StringType) and isinstance(other, _DATES):
            return [other, other]
        if isinstance(kind, t.NullType) and isinstance(other, t.DateType):
            return [other, other]
    if isinstance(kinds[1], t.DateType) and not isinstance(kinds[0], _DATES):
        raise mismatch("-", 1, '"DATE"', kinds[0])
    if all(isinstance(kind, _DATES) for kind in kinds):
        if all(isinstance(kind, t.DateType) for kind in kinds):
            return [None, None]
        walls = any(isinstance(kind, t.TimestampNTZType) for kind in kinds)
        return [t.TimestampNTZType() if walls else t.TimestampType()] * 2
    return _moved("-", kinds) if any(isinstance(kind, _DATES) for kind in kinds) else numbers("-", kinds)


def _of_clocks(operator: str, args: Sequence[str], kinds: Types, lenient: bool) -> str | None:
    """Times of the day and intervals added and subtracted, or times; None: there is no time among the operands."""
    if not any(isinstance(kind, t.TimeType) for kind in kinds):
        return None
    moved = f"({cast(args[0], t.LongType())} {operator} {cast(args[1], t.LongType())})"
    if not _is_moved(kinds):
        return cast(moved, minus_type(kinds))
    kind = plus_type(kinds)
    outside = f"{moved} < 0 OR {moved} >= {DAY}"
    if lenient:
        return f"(CASE WHEN NOT ({outside}) THEN {cast(moved, kind)} END)"
    return f"({guarded(outside, 'DATETIME_OVERFLOW', moved, kind, cast(moved, kind))})"


def sum_of_times(operator: str, args: Sequence[str], kinds: Types, lenient: bool = False) -> str | None:
    """Dates, times and intervals added and subtracted; None: there are none among the operands."""
    of_clocks = _of_clocks(operator, args, kinds, lenient)
    if of_clocks is not None:
        return of_clocks
    (a, b), (left, right) = args, kinds
    if isinstance(left, t.DateType) and isinstance(right, t.DateType):
        return f"arrow_cast(CAST(arrow_cast({a}, 'Int32') - arrow_cast({b}, 'Int32') AS BIGINT) * 86400000000, 'Duration(Microsecond)')"
    if isinstance(right, t.DateType) and operator == "+":
        return sum_of_times(operator, (b, a), (right, left))
    if isinstance(left, t.DateType):
        if isinstance(right, t.IntegralType):
            return cast(f"(arrow_cast({a}, 'Int32') {operator} {b})", left)
        if isinstance(right, t.DayTimeIntervalType):
            days = f"arrow_cast(arrow_cast({b}, 'Int64') / 86400000000, 'Int32')"
            return cast(f"(arrow_cast({a}, 'Int32') {operator} {days})", left)
        return cast(f"({a} {operator} {b})", left)
    return None
