"""Rows that a program has, as an Arrow table with Spark's types."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from quiver.sql import types as t
from quiver.sql.arrow_types import arrow_schema, spark_schema
from quiver.sql.errors import ArithmeticException, PySparkTypeError, PySparkValueError
from quiver.sql.inference import infer_first, infer_rows
from quiver.sql.local_zone import local_zone
from quiver.sql.verifying import checker, fitting

if TYPE_CHECKING:
    import pyarrow as pa

    from quiver.rdd import RDD

_BATCH_ROWS = 8192
Convert = Callable[[Any], Any]


def table_of(data: Any, schema: Any = None, verify: bool = True, zone: str = "") -> tuple[pa.Table, t.StructType]:
    """The rows and their columns. Datetimes without a zone are of the machine's, as PySpark has them; those of pandas are of `zone`.

    `data`: a list or other iterable of tuples, lists, Rows, dicts, objects, or, with one type as the schema, of values; a pandas
    DataFrame, a numpy array; whatever gives Arrow streams (pyarrow, Polars). `schema`: a StructType, one type, DDL, or names. Raises
    PySparkTypeError, PySparkValueError for what does not fit, ParseException.
    """
    if isinstance(schema, str):
        schema = t.DataType.fromDDL(schema)
    if schema is not None and not isinstance(schema, t.DataType | list | tuple):
        raise PySparkTypeError(f"Argument `schema` should be list, None or StructType, got {type(schema).__name__}.", "NOT_EXPECTED_TYPE")
    columnar = _columnar(data, zone)
    if columnar is not None:
        return _fitted(columnar, schema)
    if isinstance(data, str | bytes) or not hasattr(data, "__iter__"):
        raise PySparkTypeError(f"Argument `data` should be rows, got {type(data).__name__}.", "NOT_ITERABLE")
    return _from_rows(list(data), schema, verify)


def batches_of(data: RDD[Any], schema: Any, sampling_ratio: float | None, verify: bool) -> tuple[RDD[pa.RecordBatch], t.StructType]:
    """An RDD's rows as one of Arrow batches, and their columns. Without types, they are the first row's, of the first 100 while some are
    unknown, or those of as many rows as `sampling_ratio` says. Raises as `table_of`; for rows that do not fit, the tasks do.
    """
    if isinstance(schema, str):
        schema = t.DataType.fromDDL(schema)
    if isinstance(schema, t.StructType):
        return data.mapPartitions(RowBatches(schema, None, verify)), schema
    if isinstance(schema, t.DataType):
        kinds = t.StructType([t.StructField("value", schema)])
        return data.mapPartitions(RowBatches(schema, None, verify)), kinds
    if schema is not None and not isinstance(schema, list | tuple):
        raise PySparkTypeError(
            f"Argument `schema` should be a DataType, str, list or tuple of names, got {type(schema).__name__}.",
            "NOT_LIST_OR_NONE_OR_STRUCT",
        )
    names = None if schema is None else [str(name) for name in schema]
    if sampling_ratio is None:
        inferred = infer_first(data.take(100), names)
    else:
        inferred = infer_rows(data.sample(False, float(sampling_ratio)).collect(), names)
    named = _named(inferred, names)
    return data.mapPartitions(RowBatches(inferred, named, verify)), named


@dataclass(frozen=True, slots=True)
class RowBatches:
    """The rows of a partition as Arrow batches; `named` are the columns where they are called otherwise than in the rows."""

    schema: t.DataType
    named: t.StructType | None
    verify: bool

    def __call__(self, rows: Iterator[Any]) -> Iterator[pa.RecordBatch]:
        while some := list(islice(rows, _BATCH_ROWS)):
            table, _ = _from_rows(some, self.schema, self.verify)
            if self.named is not None:
                table = table.rename_columns(self.named.names)
            yield from table.combine_chunks().to_batches()


def _named(kinds: t.StructType, names: Sequence[str] | None) -> t.StructType:
    """With these names instead of the first of its own."""
    fields = list(kinds.fields)
    for position, name in enumerate(names or ()):
        if position < len(fields):
            fields[position] = t.StructField(name, fields[position].dataType)
    return t.StructType(fields)


# ---- columns ----


def _columnar(data: Any, zone: str) -> pa.Table | None:
    """Of what has columns; None for rows."""
    import pyarrow as pa

    if isinstance(data, pa.Table):
        return data
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data])
    origin = type(data).__module__.partition(".")[0]
    if origin == "pandas":
        try:
            table = pa.Table.from_pandas(data, preserve_index=False)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise PySparkTypeError(
                f"Can not merge types within one column: {'; '.join(map(str, error.args))}.", "CANNOT_MERGE_TYPE"
            ) from error
        return _with_instants(table, zone)
    if origin == "numpy" and hasattr(data, "ndim"):
        if data.ndim not in (1, 2):
            raise PySparkValueError(f"NumPy array input should be of 1 or 2 dimensions, got {data.ndim}.", "INVALID_NDARRAY_DIMENSION")
        columns = [data] if data.ndim == 1 else list(data.T)
        names = ["value"] if data.ndim == 1 else [f"_{position}" for position in range(1, len(columns) + 1)]
        return pa.Table.from_arrays([pa.array(column.copy()) for column in columns], names=names)
    if hasattr(data, "__arrow_c_stream__"):
        try:
            # The stream of polars holds categories as views of texts, which Arrow does not look up.
            return data.to_arrow() if origin == "polars" else pa.RecordBatchReader.from_stream(data).read_all()
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, TypeError) as error:
            raise PySparkTypeError(f"A column is of a type that Arrow does not have: {error}.", "UNSUPPORTED_DATATYPE") from error
    if hasattr(data, "__arrow_c_array__"):
        return pa.Table.from_batches([pa.record_batch(data)])
    return None


def _with_instants(table: pa.Table, zone: str) -> pa.Table:
    """pandas' naive timestamps are instants of the session's zone."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for position, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type) and field.type.tz is None:
            micros = table.column(position).cast(pa.timestamp("us"), safe=False)
            options = pc.AssumeTimezoneOptions(zone or local_zone(), ambiguous="earliest", nonexistent="latest")
            instants = pc.call_function("assume_timezone", [micros], options)
            table = table.set_column(position, field.name, instants)
    return table


def _fitted(table: pa.Table, schema: Any) -> tuple[pa.Table, t.StructType]:
    """The table with Spark's types, and the names or types that were asked for."""
    import pyarrow as pa

    kinds = spark_schema(table.schema)
    if isinstance(schema, list | tuple):
        _check_length(len(schema), table.num_columns)
        kinds = t.StructType([t.StructField(str(name), field.dataType, field.nullable) for name, field in zip(schema, kinds)])
    elif schema is not None:
        kinds = schema if isinstance(schema, t.StructType) else t.StructType([t.StructField("value", schema)])
        _check_length(len(kinds), table.num_columns)
    arrow = arrow_schema(kinds)
    try:
        return table.rename_columns(kinds.names).cast(arrow), kinds
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise PySparkTypeError(
            f"The columns do not fit the schema {kinds.simpleString()}: {error}", "FIELD_DATA_TYPE_UNACCEPTABLE"
        ) from error


def _check_length(expected: int, actual: int) -> None:
    if expected != actual:
        raise PySparkValueError(
            f"Length mismatch: Expected axis has {actual} elements, new values have {expected} elements.", "AXIS_LENGTH_MISMATCH"
        )


# ---- rows ----


def _from_rows(rows: list[Any], schema: Any, verify: bool) -> tuple[pa.Table, t.StructType]:
    import pyarrow as pa

    if isinstance(schema, t.DataType):
        kinds = schema if isinstance(schema, t.StructType) else t.StructType([t.StructField("value", schema)])
        named = kinds
        if kinds is not schema:
            rows = [(value,) for value in rows]
            if verify:
                _check_all(schema, rows)
        elif verify:
            check = checker(schema, False)
            for row in rows:
                check(row)
    else:
        names = None if schema is None else [str(name) for name in schema]
        kinds = infer_rows(rows, names)
        named = _named(kinds, names)
        if verify:
            check = checker(kinds, False)
            for row in rows:
                check(row)
    members = [_member(row, kinds) for row in rows]
    columns = list(zip(*members)) if members else [() for _ in kinds]
    arrow = arrow_schema(named)
    arrays = []
    for field, column, wanted in zip(kinds, columns, arrow):
        convert = to_arrow(field.dataType)
        if not verify:
            fit = fitting(field.dataType)
            column = tuple(None if value is None else fit(value) for value in column)
        values = column if convert is None else [None if value is None else convert(value) for value in column]
        try:
            arrays.append(pa.array(values, wanted.type))
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, ValueError, TypeError) as error:
            raise PySparkTypeError(f"field {field.name}: {error}", "FIELD_DATA_TYPE_UNACCEPTABLE_WITH_NAME") from error
    if not arrays:
        return pa.Table.from_struct_array(pa.array([{}] * len(rows), pa.struct([]))), named
    return pa.Table.from_arrays(arrays, schema=arrow), named


def _check_all(kind: t.DataType, rows: Sequence[tuple[Any]]) -> None:
    check = checker(kind, True, "field value")
    for (value,) in rows:
        check(value)


def _member(row: Any, kinds: t.StructType) -> Sequence[Any]:
    """A row's values in the columns' order: by name where it is a dict or an object, else by place; None for those that it lacks."""
    if isinstance(row, tuple | list):
        return row if len(row) == len(kinds) else [*row[: len(kinds)], *[None] * (len(kinds) - len(row))]
    members = row if isinstance(row, dict) else vars(row)
    return [members.get(name) for name in kinds.names]


class WrongLength(ValueError):
    """A struct with more or fewer values than fields."""


def _all_members(row: Any, kinds: t.StructType) -> Sequence[Any]:
    if isinstance(row, tuple | list) and len(row) != len(kinds):
        raise WrongLength(f"{len(kinds)} fields are required while {len(row)} values are provided")
    return _member(row, kinds)


def to_arrow(kind: t.DataType) -> Convert | None:
    """What makes of a Python value what Arrow takes; None: nothing has to be made."""
    match kind:
        case t.StringType():
            return _text
        case t.BinaryType():
            return bytes
        case t.TimestampType():
            return lambda moment: moment if moment.tzinfo else moment.astimezone()
        case t.DateType():
            return lambda day: day.date() if isinstance(day, datetime.datetime) else day
        case t.DecimalType():
            return _rounding(kind)
        case t.VariantType():
            return lambda variant: {"value": variant.value, "metadata": variant.metadata}
        case t.YearMonthIntervalType():
            import pyarrow as pa

            return lambda months: pa.MonthDayNano([months, 0, 0])
        case t.StructType():
            names, parts = kind.names, [to_arrow(field.dataType) for field in kind]
            return lambda row: dict(zip(names, (_converted(v, part) for v, part in zip(_all_members(row, kind), parts))))
        case t.ArrayType():
            inner = to_arrow(kind.elementType)
            return lambda items: [_converted(item, inner) for item in items]
        case t.MapType():
            key, item = to_arrow(kind.keyType), to_arrow(kind.valueType)
            return lambda pairs: [(_converted(a, key), _converted(b, item)) for a, b in pairs.items()]
        case _:
            return None


def _converted(value: Any, convert: Convert | None) -> Any:
    return value if value is None or convert is None else convert(value)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.decode() if isinstance(value, bytes | bytearray) else str(value)


def _rounding(kind: t.DecimalType) -> Convert:
    """Half up to the type's scale, as Spark's Decimal does; NaN is null. Raises ArithmeticException where there are more digits than its
    precision."""
    from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation

    context, unit = Context(prec=76, rounding=ROUND_HALF_UP), Decimal(1).scaleb(-kind.scale)
    limit = Decimal(10) ** (kind.precision - kind.scale)

    def convert(value: Decimal) -> Decimal | None:
        if value.is_nan():
            return None
        try:
            rounded = value.quantize(unit, context=context)
        except InvalidOperation:  # Infinity, or far too large.
            rounded = value
        if rounded.copy_abs() < limit:  # abs() would round to 28 digits.
            return rounded
        raise ArithmeticException(
            f"The {rounded} rounded half up from {value} cannot be represented as Decimal({kind.precision}, {kind.scale}).",
            "NUMERIC_VALUE_OUT_OF_RANGE.WITHOUT_SUGGESTION",
            {
                "roundedValue": str(rounded), "originalValue": str(value), "precision": str(kind.precision), "scale": str(kind.scale),
            },
        )  # fmt: skip

    return convert
