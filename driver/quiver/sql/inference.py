"""Which types a program's values have, by Spark's rules: whole numbers are bigint, dicts are maps, Rows and tuples are structs."""

from __future__ import annotations

import datetime
import decimal
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from quiver.sql import types as t
from quiver.sql.errors import PySparkTypeError, PySparkValueError
from quiver.sql.types.holding import holds
from quiver.sql.variant import VariantVal

_KINDS: dict[type, Callable[[], t.DataType]] = {
    bool: t.BooleanType,
    int: t.LongType,
    float: t.DoubleType,
    str: t.StringType,
    bytes: t.BinaryType,
    bytearray: t.BinaryType,
    decimal.Decimal: lambda: t.DecimalType(38, 18),
    datetime.date: t.DateType,
    datetime.datetime: t.TimestampType,
    datetime.time: t.TimeType,
    datetime.timedelta: t.DayTimeIntervalType,
    VariantVal: t.VariantType,
}
_ARRAYS: dict[str, Callable[[], t.DataType]] = {
    "b": t.ByteType, "B": t.ShortType, "h": t.ShortType, "H": t.IntegerType, "i": t.IntegerType, "I": t.LongType, "l": t.LongType,
    "q": t.LongType, "f": t.FloatType, "d": t.DoubleType, "u": t.StringType,
}  # fmt: skip


def infer_rows(rows: Sequence[Any], names: Sequence[str] | None = None) -> t.StructType:
    """The columns of these rows, all of which are looked at. `names` are given to tuples' members.

    Raises PySparkValueError for no rows and for columns of nothing but None, PySparkTypeError for values that have no type and for
    rows that differ.

    >>> infer_rows([(1, {"a": 1.5}), (None, None)]).simpleString()
    'struct<_1:bigint,_2:map<string,double>>'
    """
    if not rows:
        raise PySparkValueError("Can not infer schema from an empty dataset.", "CANNOT_INFER_EMPTY_SCHEMA")
    found = _merged(infer_row(row, names) for row in rows)
    assert isinstance(found, t.StructType)
    if holds(found, t.NullType):
        raise PySparkValueError("Some of types cannot be determined after inferring.", "CANNOT_DETERMINE_TYPE")
    return found


def infer_first(rows: Sequence[Any], names: Sequence[str] | None = None) -> t.StructType:
    """The columns of the first of these rows; of as many more of them as it takes until all types are known. Raises as `infer_rows`.

    >>> infer_first([{"a": 1}, {"a": 2, "b": "x"}]).simpleString(), infer_first([(None,), (2, "x"), ("y",)]).simpleString()
    ('struct<a:bigint>', 'struct<_1:bigint,_2:string>')
    """
    found: t.DataType = t.NullType()
    for count, row in enumerate(rows, 1):
        found = merge(found, infer_row(row, names))
        if not holds(found, t.NullType):
            return infer_rows(rows[:count], names)
    return infer_rows(rows, names)


def infer_row(row: Any, names: Sequence[str] | None = None) -> t.StructType:
    """The columns of one row: a dict, a Row, a named or plain tuple, a list, or an object with attributes."""
    fields = []
    for name, value in _members(row, names):
        try:
            fields.append(t.StructField(name, infer(value)))
        except TypeError as error:
            raise PySparkTypeError(f"Unable to infer the type of the field `{name}`.", "CANNOT_INFER_TYPE_FOR_FIELD") from error
    return t.StructType(fields)


def _members(row: Any, names: Sequence[str] | None) -> list[tuple[str, Any]]:
    if isinstance(row, dict):
        return sorted(row.items())
    if isinstance(row, tuple | list):
        known = getattr(row, "__fields__", None) or getattr(row, "_fields", None)
        if known is None:
            known = [*(names or ()), *(f"_{position}" for position in range(len(names or ()) + 1, len(row) + 1))]
        return list(zip(known, row))
    if hasattr(row, "__dict__") and not isinstance(row, type):
        return sorted(vars(row).items())
    raise PySparkTypeError(f"Can not infer schema for type: `{type(row).__name__}`.", "CANNOT_INFER_SCHEMA_FOR_TYPE")


def infer(value: Any) -> t.DataType:
    """The type of one value. Raises PySparkTypeError."""
    if value is None:
        return t.NullType()
    known = _KINDS.get(type(value))
    if known is not None:
        return known()
    if isinstance(value, dict):
        return t.MapType(_merged(map(infer, value)), _merged(map(infer, value.values())))
    if isinstance(value, list):
        return t.ArrayType(_merged(map(infer, value)))
    if isinstance(value, array) and value.typecode in _ARRAYS:
        return t.ArrayType(_ARRAYS[value.typecode](), False)
    try:
        return infer_row(value)
    except TypeError:
        raise PySparkTypeError(f"Unsupported DataType `{type(value).__name__}`.", "UNSUPPORTED_DATA_TYPE") from None


def merge(one: t.DataType, other: t.DataType) -> t.DataType:
    """The type of a column that has values of both. Raises PySparkTypeError: whole numbers and floats, say, have none in common."""
    if isinstance(one, t.NullType):
        return other
    if isinstance(other, t.NullType):
        return one
    match one, other:
        case (t.TimestampNTZType(), t.TimestampType()) | (t.AtomicType(), t.StringType()):
            return other
        case (t.TimestampType(), t.TimestampNTZType()) | (t.StringType(), t.AtomicType()):
            return one
        case (t.StructType(), t.StructType()):
            theirs = {field.name: field.dataType for field in other}
            fields = [t.StructField(field.name, merge(field.dataType, theirs.pop(field.name, t.NullType()))) for field in one]
            return t.StructType([*fields, *(t.StructField(name, kind) for name, kind in theirs.items())])
        case (t.ArrayType(), t.ArrayType()):
            return t.ArrayType(merge(one.elementType, other.elementType))
        case (t.MapType(), t.MapType()):
            return t.MapType(merge(one.keyType, other.keyType), merge(one.valueType, other.valueType))
        case _ if type(one) is type(other):
            return one
        case _:
            raise PySparkTypeError(f"Can not merge type `{type(one).__name__}` and `{type(other).__name__}`.", "CANNOT_MERGE_TYPE")


def _merged(kinds: Iterable[t.DataType]) -> t.DataType:
    found: t.DataType = t.NullType()
    for kind in kinds:
        found = merge(found, kind)
    return found
