"""Computed rows as Python's values: Rows, and pandas DataFrames, as Spark gives them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

from quiver.sql import types as t
from quiver.sql.arrow_types import arrow_type
from quiver.sql.distant_days import texts
from quiver.sql.errors import PySparkNotImplementedError
from quiver.sql.local_zone import clock, local_zone
from quiver.sql.row import Row, row_of
from quiver.sql.variant import VariantVal
from quiver_proto.blocks import write_options
from quiver_proto.errors import ValueRefused
from quiver_proto.spark_functions.casts import written
from quiver_proto.spark_functions.times_of_day import shown as clock_text

if TYPE_CHECKING:
    import pyarrow as pa

Convert = Callable[[Any], Any]


def rows_of(table: pa.Table, schema: t.StructType, zone: str = "", far_as_text: bool = False) -> list[Row]:
    """An Arrow table as Rows: structs as Rows, maps as dicts, binary as bytes, instants as naive datetimes in `zone` (empty: the
    machine's). Columns with days beyond Python's years: ValueRefused, or, `far_as_text`, texts."""
    names = schema.names
    columns: list[Sequence[Any]] = []
    for position, field in enumerate(schema):
        column = table.column(position)
        try:
            columns.append(values_of(column, field.dataType, zone))
        except ValueRefused:
            if not far_as_text or not isinstance(field.dataType, t.DateType | t.TimestampType | t.TimestampNTZType):
                raise
            columns.append(texts(column, field.dataType, zone))
    if not columns:
        return [row_of(names, ()) for _ in range(table.num_rows)]
    return [row_of(names, values) for values in zip(*columns)]


def values_of(column: pa.Array | pa.ChunkedArray, kind: t.DataType, zone: str = "") -> list[Any]:
    """One value a row, as `rows_of` has them. Raises ValueRefused for a day that Python's years do not have."""
    convert = conversion(kind, zone)
    try:
        values: list[Any] = column.to_pylist()
        return values if convert is None else [None if value is None else convert(value) for value in values]
    except OverflowError:
        raise ValueRefused("date value out of range") from None


@dataclass(frozen=True, slots=True)
class Rows:
    """Arrow batches of a partition as Rows. `schema` in JSON. Instants are naive datetimes of the executor's zone."""

    schema: str

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[Row]:
        import pyarrow as pa

        kinds = t.StructType.fromJson(json.loads(self.schema))
        for batch in batches:
            yield from rows_of(pa.Table.from_batches([batch]), kinds)


def packed(batches: Iterator[pa.RecordBatch]) -> Iterator[bytes]:
    """Each batch as a compressed stream of its own, of just its rows: Rows of them would be several times as large."""
    import pyarrow as pa

    for batch in batches:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema, options=write_options()) as writer:
            writer.write_batch(batch)
        yield sink.getvalue().to_pybytes()


def unpacked(streams: Iterable[bytes]) -> Iterator[pa.RecordBatch]:
    """The batches again."""
    import pyarrow as pa

    for stream in streams:
        yield from pa.ipc.open_stream(pa.py_buffer(stream))


def conversion(kind: t.DataType, zone: str = "") -> Convert | None:
    """What makes of Arrow's value Spark's; None: it is the same."""
    match kind:
        case t.TimestampType():
            there = clock(zone)
            return lambda instant: instant.astimezone(there).replace(tzinfo=None)
        case t.StructType():
            names = kind.names
            parts = [(name, conversion(field.dataType, zone)) for name, field in zip(names, kind)]
            return lambda value: row_of(names, [_converted(value[name], convert) for name, convert in parts])
        case t.ArrayType():
            inner = conversion(kind.elementType, zone)
            return None if inner is None else lambda items: [_converted(item, inner) for item in items]
        case t.MapType():
            key, item = conversion(kind.keyType, zone), conversion(kind.valueType, zone)
            return lambda pairs: {_converted(a, key): _converted(b, item) for a, b in pairs}
        case t.YearMonthIntervalType():
            return lambda interval: interval.months
        case t.VariantType():
            return lambda variant: VariantVal(variant["value"], variant["metadata"])
        case t.CalendarIntervalType():
            raise PySparkNotImplementedError(
                "Intervals of months, days and microseconds can't be collected: Python has none. Cast them to string.", "NOT_IMPLEMENTED"
            )
        case _:
            return None


def _converted(value: Any, convert: Convert | None) -> Any:
    return value if value is None or convert is None else convert(value)


def json_of(row: Row, kind: t.StructType, zone: str = "") -> str:
    """A row as a JSON object, as Spark writes it: without nulls, binary in base 64, instants by the clocks of `zone` (empty: the
    machine's)."""
    return json.dumps(_jsonable(row, kind, clock(zone)), ensure_ascii=False, separators=(",", ":"))


def _jsonable(value: Any, kind: t.DataType, there: tzinfo | None) -> Any:
    match kind:
        case _ if value is None:
            return None
        case t.StructType():
            members = {field.name: _jsonable(member, field.dataType, there) for member, field in zip(value, kind)}
            return {name: member for name, member in members.items() if member is not None}
        case t.ArrayType():
            return [_jsonable(item, kind.elementType, there) for item in value]
        case t.MapType():
            return {str(key): _jsonable(item, kind.valueType, there) for key, item in value.items()}
        case t.BinaryType():
            return base64.b64encode(value).decode()
        case t.TimestampType():
            text = value.astimezone(there).isoformat(timespec="milliseconds")
            return text.replace("+00:00", "Z")
        case t.TimestampNTZType():
            return value.isoformat(timespec="milliseconds")
        case t.DateType():
            return value.isoformat()
        case t.DecimalType():
            return float(value)
        case t.DoubleType() | t.FloatType() if value != value or value in (float("inf"), float("-inf")):
            return written(value)
        case t.TimeType():
            return clock_text(value)
        case t.VariantType():
            return json.loads(value.toJson("UTC" if there is None else str(there)))
        case t.DayTimeIntervalType() | t.YearMonthIntervalType():
            from quiver.sql.showing import interval_text

            return interval_text(value, kind)
        case _:
            return value


def pandas_of(table: pa.Table, schema: t.StructType, zone: str = "", arrow: bool = True) -> Any:
    """As toPandas gives: dates as datetime.date, instants as naive timestamps in `zone`, maps as dicts. `arrow`: arrays as numpy's,
    structs as dicts; else as lists and Rows."""
    import pandas as pd

    series = []
    for position, field in enumerate(schema):
        column = table.column(position)
        if isinstance(field.dataType, t.TimestampType):
            values = column.to_pandas()
            series.append(values.dt.tz_convert(clock(zone or local_zone())).dt.tz_localize(None))
        elif isinstance(field.dataType, t.StructType | t.ArrayType | t.MapType | t.BinaryType | t.VariantType):
            nested = _pandas_conversion(field.dataType, zone) if arrow else conversion(field.dataType, zone)
            series.append(pd.Series(_objects([_converted(value, nested) for value in column.to_pylist()])))
        else:
            series.append(column.to_pandas(date_as_object=True))
    frame = pd.concat(series, axis=1) if series else pd.DataFrame(index=range(table.num_rows))
    frame.columns = pd.Index(schema.names)
    return frame


def _pandas_conversion(kind: t.DataType, zone: str) -> Convert | None:
    """What makes of Arrow's value what PySpark gives through Arrow: arrays of numpy's, dicts."""
    match kind:
        case t.StructType():
            parts = [(field.name, _pandas_conversion(field.dataType, zone)) for field in kind]
            return lambda value: {name: _converted(value[name], convert) for name, convert in parts}
        case t.ArrayType():
            import numpy as np
            import pyarrow as pa

            inner = _pandas_conversion(kind.elementType, zone)
            if inner is not None:
                return lambda items: _objects([_converted(item, inner) for item in items])
            flat = arrow_type(kind.elementType)
            return lambda items: np.asarray(pa.array(items, flat).to_numpy(zero_copy_only=False))
        case t.MapType():
            key, item = _pandas_conversion(kind.keyType, zone), _pandas_conversion(kind.valueType, zone)
            return lambda pairs: {_converted(a, key): _converted(b, item) for a, b in pairs}
        case _:
            return conversion(kind, zone)


def _objects(items: list[Any]) -> Any:
    import numpy as np

    array = np.empty(len(items), dtype=object)
    for position, item in enumerate(items):
        array[position] = item
    return array
