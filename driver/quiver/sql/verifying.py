"""Do a program's values fit the types that they are said to have? PySpark's checks and messages."""

from __future__ import annotations

import datetime
import decimal
from array import array
from collections.abc import Callable
from typing import Any

from quiver.sql import types as t
from quiver.sql.errors import PySparkTypeError, PySparkValueError
from quiver.sql.variant import VariantVal

Check = Callable[[Any], None]

_ACCEPTED: dict[type[t.DataType], tuple[type, ...]] = {
    t.BooleanType: (bool,),
    t.ByteType: (int,),
    t.ShortType: (int,),
    t.IntegerType: (int,),
    t.LongType: (int,),
    t.FloatType: (float,),
    t.DoubleType: (float,),
    t.DecimalType: (decimal.Decimal,),
    t.BinaryType: (bytes, bytearray),
    t.DateType: (datetime.date, datetime.datetime),
    t.TimestampType: (datetime.datetime,),
    t.TimestampNTZType: (datetime.datetime,),
    t.TimeType: (datetime.time,),
    t.DayTimeIntervalType: (datetime.timedelta,),
    t.ArrayType: (list, tuple, array),
    t.MapType: (dict,),
    t.VariantType: (VariantVal,),
}
_BITS: dict[type[t.DataType], int] = {t.ByteType: 8, t.ShortType: 16, t.IntegerType: 32, t.LongType: 64}


def checker(kind: t.DataType, nullable: bool = True, name: str = "") -> Check:
    """A function that raises PySparkTypeError or PySparkValueError for a value that is no `kind`; `name` says where it stood.

    >>> checker(t.LongType(), name="field age")("5")
    Traceback (most recent call last):
        ...
    quiver.sql.errors.PySparkTypeError: [FIELD_DATA_TYPE_UNACCEPTABLE_WITH_NAME] field age: LongType() can not accept object '5' in type \
<class 'str'>.
    """
    fits = _fitting(kind, name)

    def check(value: Any) -> None:
        if value is not None:
            fits(value)
        elif not nullable:
            if name:
                raise PySparkValueError(f"{name}: This field is not nullable, but got None.", "FIELD_NOT_NULLABLE_WITH_NAME")
            raise PySparkValueError("Field is not nullable, but got None.", "FIELD_NOT_NULLABLE")

    return check


def _fitting(kind: t.DataType, name: str) -> Check:
    match kind:
        case t.StringType():
            return lambda value: None  # Whatever it is, its text.
        case t.StructType():
            return _members(kind, name)
        case t.ArrayType():
            element = checker(kind.elementType, kind.containsNull, f"element in array {name or None}")

            def check_elements(value: Any) -> None:
                _check_type(kind, name, value)
                for item in value:
                    element(item)

            return check_elements
        case t.MapType():
            key = checker(kind.keyType, False, f"key of map {name or None}")
            item = checker(kind.valueType, kind.valueContainsNull, f"value of map {name or None}")

            def check_items(value: Any) -> None:
                _check_type(kind, name, value)
                for one, other in value.items():
                    key(one)
                    item(other)

            return check_items
        case t.IntegralType():
            bound = 1 << (_BITS[type(kind)] - 1)

            def check_range(value: Any) -> None:
                _check_type(kind, name, value)
                if not -bound <= value < bound:
                    raise PySparkValueError(
                        f"Value for `obj` must be between {-bound} and {bound - 1} (inclusive), got {value}", "VALUE_OUT_OF_BOUNDS"
                    )

            return check_range
        case _:
            return lambda value: _check_type(kind, name, value)


def _members(kind: t.StructType, name: str) -> Check:
    inside = f" in {name}" if name else ""
    checks = [(field.name, checker(field.dataType, field.nullable, f"field {field.name}{inside}")) for field in kind]

    def check(value: Any) -> None:
        if isinstance(value, tuple | list):
            if len(value) != len(checks):
                text = f"Length of object ({len(value)}) does not match with length of fields ({len(checks)})."
                if name:
                    raise PySparkValueError(f"{name}: {text}", "FIELD_STRUCT_LENGTH_MISMATCH_WITH_NAME")
                raise PySparkValueError(text, "FIELD_STRUCT_LENGTH_MISMATCH")
            for item, (_, check_member) in zip(value, checks):
                check_member(item)
            return
        if isinstance(value, dict):
            members = value
        elif hasattr(value, "__dict__"):
            members = vars(value)
        else:
            raise _unacceptable(kind, name, value)
        for member, check_member in checks:
            check_member(members.get(member))

    return check


def _check_type(kind: t.DataType, name: str, value: Any) -> None:
    accepted = _ACCEPTED.get(type(kind))
    if accepted is not None and type(value) not in accepted:
        raise _unacceptable(kind, name, value)


def _unacceptable(kind: t.DataType, name: str, value: Any) -> PySparkTypeError:
    text = f"{kind} can not accept object {value!r} in type {type(value)}."
    if name:
        return PySparkTypeError(f"{name}: {text}", "FIELD_DATA_TYPE_UNACCEPTABLE_WITH_NAME")
    return PySparkTypeError(text, "FIELD_DATA_TYPE_UNACCEPTABLE")


def fitting(kind: t.DataType) -> Callable[[Any], Any]:
    """A function that makes of a value what Spark makes of one that was not verified: null of another type's, whole numbers cut to
    their bits.

    >>> fitting(t.IntegerType())(3_000_000_000), fitting(t.DoubleType())(1), fitting(t.ArrayType(t.ByteType()))([1, "x"])
    (-1294967296, None, [1, None])
    """
    accepted = _ACCEPTED.get(type(kind))
    match kind:
        case t.IntegralType():
            bits = _BITS[type(kind)]
            half, whole = 1 << (bits - 1), 1 << bits
            return lambda value: (value + half) % whole - half if type(value) is int else None
        case t.ArrayType():
            element = fitting(kind.elementType)
            return lambda value: list(map(element, value)) if isinstance(value, list | tuple | array) else None
        case t.MapType():
            key, item = fitting(kind.keyType), fitting(kind.valueType)
            return lambda value: {key(one): item(other) for one, other in value.items()} if isinstance(value, dict) else None
        case t.StructType():
            members = [(field.name, fitting(field.dataType)) for field in kind]
            return lambda value: _fitted_members(members, value)
        case _ if accepted is None:
            return lambda value: value
        case _:
            return lambda value: value if type(value) in accepted else None


def _fitted_members(members: list[tuple[str, Callable[[Any], Any]]], value: Any) -> Any:
    if isinstance(value, tuple | list):
        return tuple(fit(item) for (_, fit), item in zip(members, value))
    named = value if isinstance(value, dict) else getattr(value, "__dict__", None)
    return None if named is None else {name: fit(named.get(name)) for name, fit in members}
