"""Spark's types as Arrow's, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quiver.sql import types as t

if TYPE_CHECKING:
    import pyarrow as pa


def arrow_type(kind: t.DataType) -> pa.DataType:
    """How values of the type are held. Timestamps are in UTC; which zone they are shown in is the session's. Raises TypeError."""
    import pyarrow as pa

    match kind:
        case t.StringType():
            return pa.string()
        case t.BinaryType():
            return pa.binary()
        case t.BooleanType():
            return pa.bool_()
        case t.DateType():
            return pa.date32()
        case t.TimestampType():
            return pa.timestamp("us", tz="UTC")
        case t.TimestampNTZType():
            return pa.timestamp("us")
        case t.DoubleType():
            return pa.float64()
        case t.FloatType():
            return pa.float32()
        case t.ByteType():
            return pa.int8()
        case t.ShortType():
            return pa.int16()
        case t.IntegerType():
            return pa.int32()
        case t.LongType():
            return pa.int64()
        case t.DecimalType():
            return pa.decimal128(kind.precision, kind.scale)
        case t.TimeType():
            return pa.time64("us")
        case t.NullType():
            return pa.null()
        case t.DayTimeIntervalType():
            return pa.duration("us")
        case t.YearMonthIntervalType() | t.CalendarIntervalType():
            return pa.month_day_nano_interval()
        case t.ArrayType():
            return pa.list_(pa.field("element", arrow_type(kind.elementType), kind.containsNull))
        case t.MapType():
            return pa.map_(arrow_type(kind.keyType), pa.field("value", arrow_type(kind.valueType), kind.valueContainsNull))
        case t.StructType():
            return pa.struct([pa.field(field.name, arrow_type(field.dataType), field.nullable) for field in kind.fields])
        case t.VariantType():
            return pa.struct([("value", pa.binary()), ("metadata", pa.binary())])
        case _:
            raise TypeError(f"{kind!r} has no Arrow type")


def nullable(kind: pa.DataType, item: str = "element") -> pa.DataType:
    """The type with nulls allowed everywhere but in keys. `item`: the name of lists' items."""
    import pyarrow as pa

    if pa.types.is_map(kind):
        return pa.map_(nullable(kind.key_type, item), pa.field("value", nullable(kind.item_type, item)))
    if pa.types.is_list(kind):
        return pa.list_(pa.field(item, nullable(kind.value_type, item)))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, nullable(field.type, item)) for field in kind])
    return kind


def spark_type(kind: pa.DataType) -> t.DataType:
    """The type that a column of this Arrow type has. Unsigned integers become the next wider signed type. Raises TypeError."""
    import pyarrow as pa

    is_ = pa.types
    if is_.is_dictionary(kind) or is_.is_run_end_encoded(kind):
        return spark_type(kind.value_type)
    if is_.is_string(kind) or is_.is_large_string(kind) or is_.is_string_view(kind):
        return t.StringType()
    if is_.is_binary(kind) or is_.is_large_binary(kind) or is_.is_binary_view(kind) or is_.is_fixed_size_binary(kind):
        return t.BinaryType()
    if is_.is_boolean(kind):
        return t.BooleanType()
    if is_.is_int8(kind):
        return t.ByteType()
    if is_.is_int16(kind) or is_.is_uint8(kind):
        return t.ShortType()
    if is_.is_int32(kind) or is_.is_uint16(kind):
        return t.IntegerType()
    if is_.is_int64(kind) or is_.is_uint32(kind):
        return t.LongType()
    if is_.is_uint64(kind):
        return t.DecimalType(20, 0)
    if is_.is_float32(kind) or is_.is_float16(kind):
        return t.FloatType()
    if is_.is_float64(kind):
        return t.DoubleType()
    if is_.is_decimal(kind):
        return t.DecimalType(min(kind.precision, 38), kind.scale)
    if is_.is_time(kind):
        return t.TimeType()
    if is_.is_date(kind):
        return t.DateType()
    if is_.is_timestamp(kind):
        return t.TimestampNTZType() if kind.tz is None else t.TimestampType()
    if is_.is_duration(kind):
        return t.DayTimeIntervalType()
    if is_.is_interval(kind):
        return t.YearMonthIntervalType()
    if is_.is_null(kind):
        return t.NullType()
    if is_.is_map(kind):
        return t.MapType(spark_type(kind.key_type), spark_type(kind.item_type), kind.item_field.nullable)
    if (
        is_.is_list(kind)
        or is_.is_large_list(kind)
        or is_.is_fixed_size_list(kind)
        or is_.is_list_view(kind)
        or is_.is_large_list_view(kind)
    ):
        return t.ArrayType(spark_type(kind.value_type), kind.value_field.nullable)
    if is_.is_struct(kind):
        return t.StructType([t.StructField(field.name, spark_type(field.type), field.nullable) for field in kind])
    raise TypeError(f"Arrow's type {kind} has no counterpart in Spark")


def arrow_schema(schema: t.StructType) -> pa.Schema:
    """The Arrow schema of rows with these columns."""
    import pyarrow as pa

    return pa.schema([pa.field(field.name, arrow_type(field.dataType), field.nullable) for field in schema.fields])


def spark_schema(schema: pa.Schema) -> t.StructType:
    """The columns of rows with this Arrow schema."""
    return t.StructType([t.StructField(field.name, spark_type(field.type), field.nullable) for field in schema])


def fitted(column: Any, kind: Any) -> Any:
    """The column, cast to an Arrow type. Members of a struct that is null are null, whatever the type says of the members."""
    import pyarrow as pa

    if column.type == kind:
        return column
    if pa.types.is_struct(kind) and column.null_count and len(kind) == len(column.type):
        # A cast would complain of them.
        members = [fitted(column.field(at), kind.field(at).type) for at in range(len(kind))]
        return pa.StructArray.from_arrays(members, fields=list(kind), mask=column.is_null())
    return column.cast(kind)
