"""Types from their form in JSON, which `DataType.json` writes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from quiver.sql import types as t

_ATOMIC: dict[str, t.DataType] = {
    kind.typeName(): kind
    for kind in (
        t.StringType(), t.BinaryType(), t.BooleanType(), t.DateType(), t.TimestampType(), t.TimestampNTZType(), t.DoubleType(),
        t.FloatType(), t.ByteType(), t.ShortType(), t.IntegerType(), t.LongType(), t.NullType(), t.VariantType(), t.CalendarIntervalType(),
    )
}  # fmt: skip
_INTERVAL = re.compile(r"interval (\w+)(?: to (\w+))?")
_SIZED = re.compile(r"(decimal|char|varchar|time)\(\s*(\d+)\s*(?:,\s*(-?\d+)\s*)?\)")


def type_from_json(value: Any) -> t.DataType:
    """A type from its JSON form. Raises ValueError."""
    if isinstance(value, Mapping):
        match value.get("type"):
            case "array":
                return t.ArrayType(type_from_json(value["elementType"]), value["containsNull"])
            case "map":
                return t.MapType(type_from_json(value["keyType"]), type_from_json(value["valueType"]), value["valueContainsNull"])
            case "struct":
                return t.StructType([t.StructField.fromJson(field) for field in value["fields"]])
            case other:
                raise ValueError(f"unknown type {other!r}")
    if value in _ATOMIC:
        return _ATOMIC[value]
    if value == "decimal":
        return t.DecimalType()
    if match := _SIZED.fullmatch(value):
        first = int(match[2])
        if match[1] == "decimal":
            return t.DecimalType(first, int(match[3] or 0))
        return t.CharType(first) if match[1] == "char" else t.VarcharType(first) if match[1] == "varchar" else t.TimeType(first)
    if value.startswith("string collate "):
        return t.StringType(value.removeprefix("string collate "))
    if match := _INTERVAL.fullmatch(value):
        start, end = match[1], match[2] or match[1]
        for kind in (t.DayTimeIntervalType, t.YearMonthIntervalType):
            if start in kind.FIELDS and end in kind.FIELDS:
                return kind(kind.FIELDS.index(start), kind.FIELDS.index(end))
    raise ValueError(f"unknown type {value!r}")
