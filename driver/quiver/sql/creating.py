"""Rows that a program has, as an Arrow table with Spark's types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quiver.sql import types as t
from quiver.sql.arrow_types import arrow_schema, spark_schema

if TYPE_CHECKING:
    import pyarrow as pa


def table_of(data: Any, schema: Any) -> tuple[pa.Table, t.StructType]:
    """The rows and their columns. Raises TypeError, ValueError for what can't be rows."""
    import pyarrow as pa

    if isinstance(data, pa.Table):
        kinds = spark_schema(data.schema)
        return data.cast(arrow_schema(kinds)), kinds
    rows = list(data)
    if isinstance(schema, str):
        schema = t.DataType.fromDDL(schema)
    if isinstance(schema, t.StructType):
        kinds = schema
        arrow = arrow_schema(kinds)
        columns = list(zip(*(tuple(row) for row in rows))) if rows else [() for _ in kinds]
        return pa.Table.from_arrays([pa.array(column, field.type) for column, field in zip(columns, arrow)], schema=arrow), kinds
    names = list(schema) if schema is not None else list(getattr(rows[0], "__fields__", [])) or (
        list(rows[0]) if isinstance(rows[0], dict) else [f"_{i + 1}" for i in range(len(rows[0]))]
    )  # fmt: skip
    tuples = [tuple(row.values()) if isinstance(row, dict) else tuple(row) for row in rows]
    arrays = [pa.array(column) for column in zip(*tuples)]
    table = pa.Table.from_arrays(arrays, names=names)
    return table, spark_schema(table.schema)
