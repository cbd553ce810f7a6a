"""Types as they are written in SQL."""

from __future__ import annotations

from typing import Any

from sqlglot import expressions as g
from sqlglot.expressions.core import Expression as Node

from quiver.sql import types as t
from quiver.sql.errors import ParseException

_K = g.DataType.Type
_TYPES: dict[Any, t.DataType] = {
    _K.TINYINT: t.ByteType(), _K.SMALLINT: t.ShortType(), _K.INT: t.IntegerType(), _K.BIGINT: t.LongType(), _K.FLOAT: t.FloatType(),
    _K.DOUBLE: t.DoubleType(), _K.TEXT: t.StringType(), _K.BOOLEAN: t.BooleanType(), _K.BINARY: t.BinaryType(), _K.DATE: t.DateType(),
    _K.TIMESTAMP: t.TimestampType(), _K.TIMESTAMPTZ: t.TimestampType(), _K.TIMESTAMPNTZ: t.TimestampNTZType(),
    _K.TIMESTAMPLTZ: t.TimestampType(), _K.NULL: t.NullType(), _K.VARIANT: t.VariantType(),
}  # fmt: skip
_FIELDS = {"YEAR": 0, "MONTH": 1, "DAY": 0, "HOUR": 1, "MINUTE": 2, "SECOND": 3}


def type_of_node(node: Node) -> t.DataType:
    """A type as sqlglot read it. Raises ParseException."""
    if isinstance(node, g.DataType) and isinstance(node.this, g.Interval):
        return _interval(node.this)
    if isinstance(node, g.Interval):
        return _interval(node)
    assert isinstance(node, g.DataType)
    inner = node.expressions
    if node.this in _TYPES:
        return _TYPES[node.this]
    match node.this:
        case _K.DECIMAL:
            sizes = [int(item.this.name) for item in inner]
            return t.DecimalType(*sizes) if sizes else t.DecimalType()
        case _K.TIME:
            return time_of_precision(*(int(item.this.name) for item in inner))
        case _K.VARCHAR:
            return t.VarcharType(int(inner[0].this.name)) if inner else t.StringType()
        case _K.CHAR:
            return t.CharType(int(inner[0].this.name)) if inner else t.StringType()
        case _K.ARRAY if inner:
            return t.ArrayType(type_of_node(inner[0]))
        case _K.MAP if len(inner) == 2:
            return t.MapType(type_of_node(inner[0]), type_of_node(inner[1]))
        case _K.STRUCT:
            return t.StructType([_field(item) for item in inner])
        case _K.INTERVAL:
            return t.DayTimeIntervalType()
        case _:
            raise ParseException(f'Unsupported data type "{node.sql(dialect="spark")}".', "UNSUPPORTED_DATATYPE")


def time_of_precision(precision: int = 6) -> t.TimeType:
    """The type TIME. Raises ParseException: times are of microseconds."""
    if not 0 <= precision <= 6:
        raise ParseException(
            f"The seconds precision {precision} of the TIME data type is out of the supported range [0, 6].", "UNSUPPORTED_TIME_PRECISION"
        )
    return t.TimeType(precision)


def _field(item: Node) -> t.StructField:
    if not isinstance(item, g.ColumnDef):
        raise ParseException(f'Unsupported data type "{item.sql(dialect="spark")}".', "UNSUPPORTED_DATATYPE")
    return column_of(item)


def column_of(column: Node) -> t.StructField:
    """A column of a table or a member of a struct, with what is said of it."""
    kind = column.args.get("kind")
    if kind is None:
        raise ParseException(f"the column `{column.name}` has no type", "PARSE_SYNTAX_ERROR")
    nullable, metadata = True, {}
    for constraint in column.args.get("constraints") or []:
        if isinstance(constraint.kind, g.NotNullColumnConstraint):
            nullable = False
        elif isinstance(constraint.kind, g.CommentColumnConstraint):
            metadata["comment"] = constraint.kind.this.name
    return t.StructField(column.name, type_of_node(kind), nullable, metadata)


def _interval(node: g.Interval) -> t.DataType:
    unit = node.args.get("unit")
    if unit is None:
        return t.DayTimeIntervalType()
    first, last = (unit.this.name, unit.expression.name) if isinstance(unit, g.IntervalSpan) else (unit.name, unit.name)
    first, last = first.upper().rstrip("S"), last.upper().rstrip("S")
    kind = t.YearMonthIntervalType if first in ("YEAR", "MONTH") else t.DayTimeIntervalType
    return kind(_FIELDS[first], _FIELDS[last])
