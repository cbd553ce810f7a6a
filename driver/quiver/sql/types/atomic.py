"""Types that are not made of other types."""

from __future__ import annotations

from typing import Any, ClassVar

from quiver.sql.types.base import DataType


class NullType(DataType):
    """Of a null literal."""

    _name = "void"


class AtomicType(DataType):
    """Not made of other types."""


class NumericType(AtomicType):
    """Numbers."""


class IntegralType(NumericType):
    """Whole numbers."""


class FractionalType(NumericType):
    """Numbers with a fraction."""


class StringType(AtomicType):
    """Text, compared by `collation` (UTF8_BINARY: by its bytes, the only one that queries know)."""

    def __init__(self, collation: str = "UTF8_BINARY") -> None:
        self.collation = collation

    def simpleString(self) -> str:
        return "string" if self.isUTF8BinaryCollation() else f"string collate {self.collation}"

    jsonValue = simpleString

    def isUTF8BinaryCollation(self) -> bool:
        """Whether texts are compared by their bytes."""
        return self.collation == "UTF8_BINARY"

    def _key(self) -> tuple[Any, ...]:
        return (self.collation,)

    def __repr__(self) -> str:
        return "StringType()" if self.isUTF8BinaryCollation() else f"StringType('{self.collation}')"


class CharType(StringType):
    """Text padded to `length`."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length

    def simpleString(self) -> str:
        return f"char({self.length})"

    jsonValue = simpleString

    def _key(self) -> tuple[Any, ...]:
        return (self.length,)

    def __repr__(self) -> str:
        return f"CharType({self.length})"


class VarcharType(StringType):
    """Text of at most `length` characters."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length

    def simpleString(self) -> str:
        return f"varchar({self.length})"

    jsonValue = simpleString

    def _key(self) -> tuple[Any, ...]:
        return (self.length,)

    def __repr__(self) -> str:
        return f"VarcharType({self.length})"


class BinaryType(AtomicType):
    """Bytes."""


class BooleanType(AtomicType):
    """True or false."""


class DatetimeType(AtomicType):
    """Dates and instants."""


class AnyTimeType(DatetimeType):
    """Times of the day."""


class TimeType(AnyTimeType):
    """A time of the day, in microseconds, of which the first `precision` digits of a second count; `datetime.time` in Python."""

    def __init__(self, precision: int = 6) -> None:
        self.precision = precision

    def simpleString(self) -> str:
        return f"time({self.precision})"

    jsonValue = simpleString

    def _key(self) -> tuple[Any, ...]:
        return (self.precision,)


class DateType(DatetimeType):
    """A day; `datetime.date` in Python."""


class TimestampType(DatetimeType):
    """An instant, in microseconds; `datetime.datetime` in Python, shown in the session's time zone."""


class TimestampNTZType(DatetimeType):
    """A wall-clock date and time, in microseconds, of no time zone."""

    _name = "timestamp_ntz"


class AnsiIntervalType(AtomicType):
    """Durations, and numbers of months; of `FIELDS`, by their positions, those from `startField` to `endField`, or all."""

    FIELDS: ClassVar[tuple[str, ...]] = ()

    def __init__(self, startField: int | None = None, endField: int | None = None) -> None:
        self.startField = 0 if startField is None else startField
        self.endField = len(self.FIELDS) - 1 if startField is None else (startField if endField is None else endField)

    def simpleString(self) -> str:
        start, end = self.FIELDS[self.startField], self.FIELDS[self.endField]
        return f"interval {start}" if start == end else f"interval {start} to {end}"

    jsonValue = simpleString

    def _key(self) -> tuple[Any, ...]:
        return (self.startField, self.endField)


class DayTimeIntervalType(AnsiIntervalType):
    """A duration in microseconds; `datetime.timedelta` in Python."""

    DAY, HOUR, MINUTE, SECOND = 0, 1, 2, 3
    FIELDS = ("day", "hour", "minute", "second")


class YearMonthIntervalType(AnsiIntervalType):
    """A number of months."""

    YEAR, MONTH = 0, 1
    FIELDS = ("year", "month")


class CalendarIntervalType(DataType):
    """Months, days and microseconds of their own. Columns can't have it; results of `make_interval` do in Spark."""

    _name = "interval"


class VariantType(AtomicType):
    """Data of any shape; VariantVal in Python. It has no order: rows are not sorted, grouped or joined by it."""


class DecimalType(FractionalType):
    """Exact numbers of `precision` digits (at most 38), `scale` of them after the point."""

    def __init__(self, precision: int = 10, scale: int = 0) -> None:
        self.precision = precision
        self.scale = scale
        self.hasPrecisionInfo = True

    def simpleString(self) -> str:
        return f"decimal({self.precision},{self.scale})"

    jsonValue = simpleString

    def _key(self) -> tuple[Any, ...]:
        return (self.precision, self.scale)

    def __repr__(self) -> str:
        return f"DecimalType({self.precision},{self.scale})"


class DoubleType(FractionalType):
    """64-bit floating point."""


class FloatType(FractionalType):
    """32-bit floating point."""


class ByteType(IntegralType):
    """8-bit integers."""

    def simpleString(self) -> str:
        return "tinyint"


class ShortType(IntegralType):
    """16-bit integers."""

    def simpleString(self) -> str:
        return "smallint"


class IntegerType(IntegralType):
    """32-bit integers."""

    def simpleString(self) -> str:
        return "int"


class LongType(IntegralType):
    """64-bit integers."""

    def simpleString(self) -> str:
        return "bigint"
