"""Which type two types have in common, as Spark's ANSI mode sees it."""

from __future__ import annotations

from collections.abc import Sequence

from quiver.sql import types as t
from quiver.sql.errors import AnalysisException

_INTEGERS: tuple[type[t.DataType], ...] = (t.ByteType, t.ShortType, t.IntegerType, t.LongType)
_DIGITS: dict[type[t.DataType], int] = {t.ByteType: 3, t.ShortType: 5, t.IntegerType: 10, t.LongType: 20}


def as_decimal(kind: t.DataType) -> t.DecimalType:
    """The decimal that holds every value of an integer type; a decimal stays."""
    return kind if isinstance(kind, t.DecimalType) else t.DecimalType(_DIGITS[type(kind)], 0)


def common_type(kinds: Sequence[t.DataType]) -> t.DataType | None:
    """The least type that all can be cast to without loss (strings beside other types take those, as in ANSI mode), or None."""
    result: t.DataType = t.NullType()
    for kind in kinds:
        both = _common(result, kind)
        if both is None:
            return None
        result = both
    return result


def _common(a: t.DataType, b: t.DataType) -> t.DataType | None:
    if a == b:
        return a
    if isinstance(a, t.NullType):
        return b
    if isinstance(b, t.NullType):
        return a
    if isinstance(a, t.StringType) and isinstance(b, t.StringType):
        return t.StringType()
    if isinstance(a, t.NumericType) and isinstance(b, t.NumericType):
        return _common_number(a, b)
    for text, other in ((a, b), (b, a)):
        if isinstance(text, t.StringType):
            if isinstance(other, t.IntegralType):
                return t.LongType()
            if isinstance(other, t.FractionalType):
                return t.DoubleType()
            return other if isinstance(other, t.AtomicType) and not isinstance(other, t.VariantType) else None
    if isinstance(a, t.DayTimeIntervalType) and isinstance(b, t.DayTimeIntervalType):
        return t.DayTimeIntervalType(min(a.startField, b.startField), max(a.endField, b.endField))
    if isinstance(a, t.YearMonthIntervalType) and isinstance(b, t.YearMonthIntervalType):
        return t.YearMonthIntervalType(min(a.startField, b.startField), max(a.endField, b.endField))
    if isinstance(a, t.TimeType) and isinstance(b, t.TimeType):
        return max(a, b, key=lambda kind: kind.precision)
    times = (t.DateType, t.TimestampNTZType, t.TimestampType)
    if isinstance(a, times) and isinstance(b, times):
        return max(a, b, key=lambda kind: times.index(type(kind)))
    if isinstance(a, t.ArrayType) and isinstance(b, t.ArrayType):
        element = _common(a.elementType, b.elementType)
        return None if element is None else t.ArrayType(element, a.containsNull or b.containsNull)
    if isinstance(a, t.MapType) and isinstance(b, t.MapType):
        key, value = _common(a.keyType, b.keyType), _common(a.valueType, b.valueType)
        return None if key is None or value is None else t.MapType(key, value, a.valueContainsNull or b.valueContainsNull)
    if isinstance(a, t.StructType) and isinstance(b, t.StructType) and len(a) == len(b):
        members = [_common(x.dataType, y.dataType) for x, y in zip(a, b, strict=True)]
        if any(member is None for member in members):
            return None
        return t.StructType(
            [t.StructField(x.name, kind, x.nullable or y.nullable) for x, y, kind in zip(a, b, members, strict=True) if kind]
        )
    return None


def _common_number(a: t.DataType, b: t.DataType) -> t.DataType:
    if isinstance(a, t.DoubleType) or isinstance(b, t.DoubleType):
        return t.DoubleType()
    if isinstance(a, t.FloatType) or isinstance(b, t.FloatType):
        other = b if isinstance(a, t.FloatType) else a
        return t.FloatType() if isinstance(other, t.FloatType | t.ByteType | t.ShortType) else t.DoubleType()
    if isinstance(a, t.DecimalType) or isinstance(b, t.DecimalType):
        x, y = as_decimal(a), as_decimal(b)
        scale = max(x.scale, y.scale)
        return bounded(max(x.precision - x.scale, y.precision - y.scale) + scale, scale)
    return max(a, b, key=lambda kind: _INTEGERS.index(type(kind)))


def bounded(precision: int, scale: int) -> t.DecimalType:
    """A decimal of at most 38 digits: where it would have more, digits of the fraction go, but for six (Spark's rule)."""
    if precision <= 38:
        return t.DecimalType(precision, scale)
    return t.DecimalType(38, max(38 - (precision - scale), min(scale, 6)))


def expect_common(operator: str, kinds: Sequence[t.DataType]) -> t.DataType:
    """As common_type. Raises AnalysisException naming operator and types."""
    both = common_type(kinds)
    if both is None:
        listed = " and ".join(f'"{kind.simpleString().upper()}"' for kind in kinds)
        raise AnalysisException(
            f'Cannot resolve "{operator}" due to data type mismatch: the arguments have incompatible types ({listed}).',
            "DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES",
        )
    return both
