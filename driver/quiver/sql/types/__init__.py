"""Types of columns, by Spark's names: `IntegerType()`, `ArrayType(StringType())`, `StructType().add("name", StringType())`.

Instances can't be changed and compare by value, but for a StructType that is still being built with `add`.

>>> from quiver.sql.types import *
>>> StructType([StructField("id", LongType(), False), StructField("tags", ArrayType(StringType()))]).simpleString()
'struct<id:bigint,tags:array<string>>'
"""

from quiver.sql.row import Row
from quiver.sql.types.atomic import (
    AnsiIntervalType,
    AnyTimeType,
    AtomicType,
    BinaryType,
    BooleanType,
    ByteType,
    CalendarIntervalType,
    CharType,
    DatetimeType,
    DateType,
    DayTimeIntervalType,
    DecimalType,
    DoubleType,
    FloatType,
    FractionalType,
    IntegerType,
    IntegralType,
    LongType,
    NullType,
    NumericType,
    ShortType,
    StringType,
    TimestampNTZType,
    TimestampType,
    TimeType,
    VarcharType,
    VariantType,
    YearMonthIntervalType,
)
from quiver.sql.types.base import DataType
from quiver.sql.types.nested import (
    ArrayType,
    MapType,
    StructField,
    StructType,
)
from quiver.sql.variant import VariantVal

__all__ = [
    "AnsiIntervalType",
    "AnyTimeType",
    "ArrayType",
    "AtomicType",
    "BinaryType",
    "BooleanType",
    "ByteType",
    "CalendarIntervalType",
    "CharType",
    "DataType",
    "DateType",
    "DatetimeType",
    "DayTimeIntervalType",
    "DecimalType",
    "DoubleType",
    "FloatType",
    "FractionalType",
    "IntegerType",
    "IntegralType",
    "LongType",
    "MapType",
    "NullType",
    "NumericType",
    "Row",
    "ShortType",
    "StringType",
    "StructField",
    "StructType",
    "TimeType",
    "TimestampNTZType",
    "TimestampType",
    "VarcharType",
    "VariantType",
    "VariantVal",
    "YearMonthIntervalType",
]
