"""Functions that are casts, by Spark's names: `int('3')`. As columns they are called by what they cast."""

from __future__ import annotations

from typing import Final

from quiver.sql import types as t

CAST_FUNCTIONS: Final[dict[str, t.DataType]] = {
    "boolean": t.BooleanType(), "tinyint": t.ByteType(), "smallint": t.ShortType(), "int": t.IntegerType(), "bigint": t.LongType(),
    "float": t.FloatType(), "double": t.DoubleType(), "decimal": t.DecimalType(), "date": t.DateType(), "timestamp": t.TimestampType(),
    "binary": t.BinaryType(), "string": t.StringType(),
}  # fmt: skip
