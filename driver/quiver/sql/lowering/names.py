"""How types, constants and columns are written in the kernel's SQL."""

from __future__ import annotations

import datetime
import decimal
import math
import re
from typing import Any

from quiver.sql import types as t
from quiver.sql.tree.expressions import Attribute


def quoted(name: str) -> str:
    """An identifier, as it is."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A string constant. Half a surrogate, which UTF-8 has no form of, is a question mark, as Java writes it."""
    value = value if value.isascii() else value.encode("utf-8", "replace").decode()
    return "'" + value.replace("'", "''") + "'"


_CONSTANT = re.compile(r"'((?:[^']|'')*)'")


_INTEGER = re.compile(r"\(?(-?\d+)\)?|arrow_cast\('(-?\d+)', 'Int\d+'\)")


def constant_text(lowered: str) -> str | None:
    """The string that a lowered expression is a constant of, or None."""
    found = _CONSTANT.fullmatch(lowered)
    return None if found is None else found[1].replace("''", "'")


def constant_number(lowered: str) -> int | None:
    """The integer that a lowered expression is a constant of, or None."""
    found = _INTEGER.fullmatch(lowered)
    return None if found is None else int(found[1] or found[2])


def column(attribute: Attribute) -> str:
    """A column's name in lowered queries: unique, since users' names may be there twice."""
    return quoted(f"{attribute.name}#{attribute.id}")


def kernel_type(kind: t.DataType) -> str:
    """Of a type, in the kernel's own notation, for arrow_cast."""
    match kind:
        case t.StringType():
            return "Utf8"
        case t.BinaryType():
            return "Binary"
        case t.BooleanType():
            return "Boolean"
        case t.ByteType():
            return "Int8"
        case t.ShortType():
            return "Int16"
        case t.IntegerType():
            return "Int32"
        case t.LongType():
            return "Int64"
        case t.FloatType():
            return "Float32"
        case t.DoubleType():
            return "Float64"
        case t.DecimalType():
            return f"Decimal128({kind.precision}, {kind.scale})"
        case t.DateType():
            return "Date32"
        case t.TimestampType():
            return 'Timestamp(Microsecond, Some("UTC"))'
        case t.TimestampNTZType():
            return "Timestamp(Microsecond, None)"
        case t.TimeType():
            return "Time64(Microsecond)"
        case t.DayTimeIntervalType():
            return "Duration(Microsecond)"
        case t.YearMonthIntervalType() | t.CalendarIntervalType():
            return "Interval(MonthDayNano)"
        case t.NullType():
            return "Null"
        case t.ArrayType():
            return f"List({kernel_type(kind.elementType)})"
        case t.MapType():
            entries = f'non-null Struct("key": non-null {kernel_type(kind.keyType)}, "value": {kernel_type(kind.valueType)})'
            return f'Map("entries": {entries}, unsorted)'
        case t.VariantType():
            return 'Struct("value": Binary, "metadata": Binary)'
        case t.StructType():
            return f"Struct({', '.join(f'{quoted(field.name)}: {kernel_type(field.dataType)}' for field in kind.fields)})"
        case _:
            raise TypeError(f"{kind.simpleString()} can't be written as a type of the kernel")


def cast(value: str, kind: t.DataType, lenient: bool = False) -> str:
    """`value` as another type."""
    return f"{'arrow_try_cast' if lenient else 'arrow_cast'}({value}, {text(kernel_type(kind))})"


def constant(value: Any, kind: t.DataType) -> str:
    """A literal of exactly this type."""
    if value is None:
        return "NULL" if isinstance(kind, t.NullType) else cast("NULL", kind)
    match kind:
        case t.BooleanType():
            return "TRUE" if value else "FALSE"
        case t.LongType() if value > -(2**63):
            return str(int(value)) if value >= 0 else f"({int(value)})"
        case t.IntegralType():
            return cast(text(str(int(value))), kind)
        case t.DoubleType() | t.FloatType():
            number = float(value)
            word = "NaN" if math.isnan(number) else ("inf" if number > 0 else "-inf") if math.isinf(number) else repr(number)
            return cast(text(word), kind)
        case t.DecimalType():
            return cast(text(format(decimal.Decimal(value), "f")), kind)
        case t.StringType():
            return text(str(value))
        case t.BinaryType():
            return f"X'{bytes(value).hex()}'"
        case t.DateType():
            return f"DATE '{value.isoformat()}'"
        case t.TimeType():
            return cast(text(value.isoformat()), kind)
        case t.TimestampType():
            instant = value.astimezone(datetime.UTC) if value.tzinfo else value
            return cast(text(instant.replace(tzinfo=None).isoformat(" ")), kind)
        case t.TimestampNTZType():
            return cast(text(value.replace(tzinfo=None).isoformat(" ")), kind)
        case t.DayTimeIntervalType():
            micros = (value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds
            return cast(str(micros) if micros >= 0 else f"({micros})", kind)
        case t.YearMonthIntervalType():
            return f"INTERVAL '{int(value)} months'"
        case t.ArrayType():
            return f"make_array({', '.join(constant(item, kind.elementType) for item in value)})"
        case t.StructType():
            members = zip(kind.fields, value, strict=True)
            return f"named_struct({', '.join(f'{text(field.name)}, {constant(item, field.dataType)}' for field, item in members)})"
        case t.MapType():
            keys = ", ".join(constant(key, kind.keyType) for key in value)
            return f"map(make_array({keys}), make_array({', '.join(constant(item, kind.valueType) for item in value.values())}))"
        case _:
            raise TypeError(f"a constant of type {kind.simpleString()} can't be written")
