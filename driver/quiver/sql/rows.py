"""Computed rows as Python's values: Rows, and pandas DataFrames, as Spark gives them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quiver.sql import types as t
from quiver.sql.analysis.pretty import number_text
from quiver.sql.local_zone import clock, local_zone
from quiver.sql.row import Row, row_of

if TYPE_CHECKING:
    import pyarrow as pa

Convert = Callable[[Any], Any]


def rows_of(table: pa.Table, schema: t.StructType, zone: str = "") -> list[Row]:
    """An Arrow table as Rows: structs as Rows, maps as dicts, binary as bytes, instants as naive datetimes in `zone` (empty: the
    machine's)."""
    names = schema.names
    columns: list[Sequence[Any]] = []
    for position, field in enumerate(schema):
        values = table.column(position).to_pylist()
        convert = _conversion(field.dataType, zone)
        columns.append(values if convert is None else [None if value is None else convert(value) for value in values])
    if not columns:
        return [row_of(names, ()) for _ in range(table.num_rows)]
    return [row_of(names, values) for values in zip(*columns)]


@dataclass(frozen=True, slots=True)
class Rows:
    """Arrow batches of a partition as Rows. `schema` in JSON. Instants are naive datetimes of the executor's zone."""

    schema: str

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[Row]:
        import pyarrow as pa

        kinds = t.StructType.fromJson(json.loads(self.schema))
        for batch in batches:
            yield from rows_of(pa.Table.from_batches([batch]), kinds)


def _conversion(kind: t.DataType, zone: str) -> Convert | None:
    """What makes of Arrow's value Spark's; None: it is the same."""
    match kind:
        case t.TimestampType():
            there = clock(zone)
            return lambda instant: instant.astimezone(there).replace(tzinfo=None)
        case t.StructType():
            names = kind.names
            parts = [(name, _conversion(field.dataType, zone)) for name, field in zip(names, kind)]
            return lambda value: row_of(names, [_converted(value[name], convert) for name, convert in parts])
        case t.ArrayType():
            inner = _conversion(kind.elementType, zone)
            return None if inner is None else lambda items: [_converted(item, inner) for item in items]
        case t.MapType():
            key, item = _conversion(kind.keyType, zone), _conversion(kind.valueType, zone)
            return lambda pairs: {_converted(a, key): _converted(b, item) for a, b in pairs}
        case t.YearMonthIntervalType():
            return lambda interval: interval.months
        case _:
            return None


def _converted(value: Any, convert: Convert | None) -> Any:
    return value if value is None or convert is None else convert(value)


def json_of(row: Row, kind: t.StructType) -> str:
    """A row as a JSON object, as Spark writes it: without nulls, binary in base 64. Instants are written without a zone."""
    return json.dumps(_jsonable(row, kind), ensure_ascii=False, separators=(",", ":"))


def _jsonable(value: Any, kind: t.DataType) -> Any:
    match kind:
        case _ if value is None:
            return None
        case t.StructType():
            members = {field.name: _jsonable(member, field.dataType) for member, field in zip(value, kind)}
            return {name: member for name, member in members.items() if member is not None}
        case t.ArrayType():
            return [_jsonable(item, kind.elementType) for item in value]
        case t.MapType():
            return {str(key): _jsonable(item, kind.valueType) for key, item in value.items()}
        case t.BinaryType():
            return base64.b64encode(value).decode()
        case t.TimestampType() | t.TimestampNTZType():
            return value.isoformat(timespec="milliseconds")
        case t.DateType():
            return value.isoformat()
        case t.DecimalType():
            return float(value)
        case t.DoubleType() | t.FloatType() if value != value or value in (float("inf"), float("-inf")):
            return number_text(value)
        case t.DayTimeIntervalType():
            return str(value)
        case _:
            return value


def pandas_of(table: pa.Table, schema: t.StructType, zone: str = "") -> Any:
    """As toPandas gives: dates as datetime.date, instants as naive timestamps in `zone`, maps as dicts, structs as Rows."""
    import pandas as pd

    series = []
    for position, field in enumerate(schema):
        column = table.column(position)
        if isinstance(field.dataType, t.TimestampType):
            values = column.to_pandas()
            series.append(values.dt.tz_convert(clock(zone or local_zone())).dt.tz_localize(None))
        elif isinstance(field.dataType, t.StructType | t.ArrayType | t.MapType | t.BinaryType):
            convert = _conversion(field.dataType, zone)
            series.append(pd.Series([_converted(value, convert) for value in column.to_pylist()], dtype=object))
        else:
            series.append(column.to_pandas(date_as_object=True))
    frame = pd.concat(series, axis=1) if series else pd.DataFrame(index=range(table.num_rows))
    frame.columns = pd.Index(schema.names)
    return frame
