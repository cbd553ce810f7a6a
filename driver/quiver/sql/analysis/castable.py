"""Which casts Spark refuses when it analyses a query. Pure."""

from __future__ import annotations

from quiver.sql import types as t
from quiver.sql.analysis.pretty import pretty
from quiver.sql.analysis.typing import type_of
from quiver.sql.errors import AnalysisException
from quiver.sql.tree import expressions as e

_KNOWN = (
    t.NumericType, t.BooleanType, t.DateType, t.TimestampType, t.TimestampNTZType, t.BinaryType, t.ArrayType, t.MapType, t.StructType,
    t.TimeType,
)  # fmt: skip
_TAKES: tuple[tuple[type[t.DataType], tuple[type[t.DataType], ...]], ...] = (
    (t.NumericType, (t.NumericType, t.BooleanType, t.TimestampType)),
    (t.BooleanType, (t.NumericType, t.BooleanType)),
    (t.DateType, (t.DateType, t.TimestampType, t.TimestampNTZType)),
    (t.TimestampType, (t.NumericType, t.DateType, t.TimestampType, t.TimestampNTZType, t.TimeType)),
    (t.TimestampNTZType, (t.DateType, t.TimestampType, t.TimestampNTZType, t.TimeType)),
    (t.TimeType, (t.IntegralType, t.DecimalType, t.TimestampType, t.TimestampNTZType, t.TimeType)),
    (t.BinaryType, (t.BinaryType,)),
)
"""From a type, which of _KNOWN it can be cast to."""
_IN_VARIANTS = (
    t.NumericType, t.BooleanType, t.StringType, t.BinaryType, t.DateType, t.TimestampType, t.TimestampNTZType, t.VariantType,
)  # fmt: skip
"""Scalars that variants have."""


def castable(source: t.DataType, target: t.DataType) -> bool:
    """Whether Spark in ANSI mode has such a cast. What is not of the types that are listed here is left to others."""
    if source == target or isinstance(source, t.NullType) or isinstance(target, t.StringType | t.NullType):
        return True
    match source, target:
        case t.VariantType(), t.ArrayType():
            return castable(source, target.elementType)
        case t.VariantType(), t.MapType():
            return isinstance(target.keyType, t.StringType) and castable(source, target.valueType)
        case t.VariantType(), t.StructType():
            return all(castable(source, field.dataType) for field in target)
        case t.VariantType(), _:
            return isinstance(target, _IN_VARIANTS)
        case t.ArrayType(), t.VariantType():
            return castable(source.elementType, target)
        case _, t.VariantType():
            return isinstance(source, _IN_VARIANTS)
        case t.ArrayType(), t.ArrayType():
            return castable(source.elementType, target.elementType)
        case t.MapType(), t.MapType():
            return castable(source.keyType, target.keyType) and castable(source.valueType, target.valueType)
        case t.StructType(), t.StructType():
            pairs = zip(source, target, strict=False)
            return len(source) == len(target) and all(castable(a.dataType, b.dataType) for a, b in pairs)
        case t.StringType(), t.ArrayType() | t.MapType() | t.StructType():
            return False
    if not (isinstance(source, _KNOWN) and isinstance(target, _KNOWN)):
        return True
    return any(isinstance(source, kind) and isinstance(target, takes) for kind, takes in _TAKES)


def check(cast: e.Cast) -> None:
    """Raises AnalysisException for a cast that Spark refuses."""
    source, target = type_of(cast.child), cast.type
    if castable(source, target):
        return
    condition, hint = "CAST_WITHOUT_SUGGESTION", ""
    match source, target:
        case t.DateType(), t.NumericType():
            condition, hint = "CAST_WITH_FUNC_SUGGESTION", "UNIX_DATE"
        case t.NumericType(), t.DateType():
            condition, hint = "CAST_WITH_FUNC_SUGGESTION", "DATE_FROM_UNIX_DATE"
        case (
            (t.IntegralType(), t.BinaryType()) | (t.BooleanType(), t.TimestampType()) | (t.DateType() | t.TimestampType(), t.BooleanType())
        ):
            condition = "CAST_WITH_CONF_SUGGESTION"
        case _:
            pass
    a, b = (f'"{kind.simpleString().upper()}"' for kind in (source, target))
    ending = f" To convert values from {a} to {b}, you can use the functions `{hint}` instead." if hint else ""
    mode = " with ANSI mode on" if condition == "CAST_WITH_CONF_SUGGESTION" else ""
    raise AnalysisException(
        f'Cannot resolve "{pretty(cast)}" due to data type mismatch: cannot cast {a} to {b}{mode}.{ending}',
        f"DATATYPE_MISMATCH.{condition}",
    )
