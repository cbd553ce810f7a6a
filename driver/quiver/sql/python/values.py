"""Between Arrow columns and what users' functions take and give: Python values, pandas Series and DataFrames."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from quiver.sql import types as t
from quiver.sql.arrow_types import arrow_type, nullable
from quiver.sql.creating import WrongLength, to_arrow
from quiver.sql.errors import ArithmeticException
from quiver.sql.local_zone import clock
from quiver.sql.rows import conversion, values_of
from quiver.sql.variant import VariantVal

if TYPE_CHECKING:
    import pyarrow as pa


class Misfit(Exception):
    """A value that does not fit the type that was told. `row`: which of the column's, -1: unknown; `problem`: in words."""

    def __init__(self, row: int, problem: str, condition: str = "UDF_RETURN_TYPE") -> None:
        super().__init__(row, problem)
        self.condition = condition
        self.row = row
        self.problem = problem


# ---- Python values ----


def column_of(values: Sequence[Any], kind: t.DataType) -> pa.Array:
    """The values as a column. Whatever has a text fits a string, numbers are not made smaller. Raises Misfit, and
    ArithmeticException for a decimal of too many digits."""
    import pyarrow as pa

    wanted = nullable(arrow_type(kind))
    convert = to_arrow(kind)
    try:
        _check_kinds(values, kind)
        if convert is not None:
            return pa.array([None if value is None else convert(value) for value in values], wanted)
        return pa.array(values, wanted)
    except (Misfit, ArithmeticException):
        raise
    except Exception as error:
        raise _which(values, kind, convert, error) from error


def _check_kinds(values: Sequence[Any], kind: t.DataType) -> None:
    """Arrow takes a bool for a number, and the other way round, and a number for a day or for bytes, without a word."""
    if not isinstance(kind, t.IntegralType | t.BooleanType | t.FractionalType):
        _check_is(values, _CLASSES.get(type(kind)))
        return
    if isinstance(kind, t.DecimalType):
        _check_is(values, (decimal.Decimal,))
        return
    is_bool = isinstance(kind, t.BooleanType)
    for of in set(map(type, values)):
        if of is type(None):
            continue
        if (of is bool) != is_bool and (is_bool or of is bool) and of.__module__ != "numpy":
            row = next(row for row, value in enumerate(values) if type(value) is of)
            raise Misfit(row, f"{values[row]!r} of type {of.__name__}")
        if isinstance(kind, t.IntegralType) and issubclass(of, float | decimal.Decimal):
            for row, value in enumerate(values):
                if isinstance(value, float | decimal.Decimal) and value % 1 != 0:  # Arrow would cut the fraction off.
                    raise Misfit(row, f"{value!r} of type {of.__name__}")


_CLASSES: dict[type[t.DataType], tuple[type, ...]] = {
    t.BinaryType: (bytes, bytearray, memoryview),
    t.DateType: (datetime.date,),
    t.TimestampType: (datetime.datetime,),
    t.TimestampNTZType: (datetime.datetime,),
    t.TimeType: (datetime.time,),
    t.DayTimeIntervalType: (datetime.timedelta,),
    t.VariantType: (VariantVal,),
}
"""What values of a type are, beside those that are told by other means; NumPy's and pandas' own are left to Arrow."""


def _check_is(values: Sequence[Any], classes: tuple[type, ...] | None) -> None:
    if classes is None:
        return
    for of in set(map(type, values)):
        if of is not type(None) and not issubclass(of, classes) and of.__module__.partition(".")[0] not in ("numpy", "pandas"):
            row = next(row for row, value in enumerate(values) if type(value) is of)
            raise Misfit(row, f"{values[row]!r} of type {of.__name__}")


def _which(values: Sequence[Any], kind: t.DataType, convert: Callable[[Any], Any] | None, error: Exception) -> Misfit:
    import pyarrow as pa

    wanted = nullable(arrow_type(kind))
    for row, value in enumerate(values):
        try:
            pa.array([value if value is None or convert is None else convert(value)], wanted)
        except Exception as problem:
            condition = "STRUCT_ARRAY_LENGTH_MISMATCH" if isinstance(problem, WrongLength) else "UDF_RETURN_TYPE"
            # What Python says of an attribute or an argument is about the code here, not about the value.
            why = "" if isinstance(problem, AttributeError | TypeError) and not isinstance(problem, pa.ArrowException) else f" ({problem})"
            return Misfit(row, f"{value!r} of type {type(value).__qualname__}{why}", condition)
    return Misfit(-1, str(error))


# ---- pandas ----


def series_of(column: pa.Array | pa.ChunkedArray, kind: t.DataType, zone: str) -> Any:
    """A Series; a DataFrame for structs. Instants become naive datetimes in `zone` (empty: the machine's), dates datetime.date."""
    import pandas as pd

    if isinstance(kind, t.StructType):
        import pyarrow as pa

        array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        parts = {field.name: series_of(part, field.dataType, zone) for field, part in zip(kind, array.flatten())}
        return pd.DataFrame(parts, index=range(len(array)))
    if isinstance(kind, t.TimestampType):
        values = column.to_pandas()
        return values.dt.tz_convert(clock(zone) or _machine_zone()).dt.tz_localize(None).astype("datetime64[ns]")
    if isinstance(kind, t.TimestampNTZType | t.DayTimeIntervalType):
        return column.to_pandas().astype("datetime64[ns]" if isinstance(kind, t.TimestampNTZType) else "timedelta64[ns]")
    if isinstance(kind, t.MapType | t.VariantType) or (isinstance(kind, t.ArrayType) and conversion(kind) is not None):
        return pd.Series(values_of(column, kind), dtype=object)
    return column.to_pandas(date_as_object=True)


_SIMPLE = (
    t.ByteType, t.ShortType, t.IntegerType, t.LongType, t.FloatType, t.DoubleType, t.BooleanType, t.StringType, t.DateType, t.DecimalType,
    t.BinaryType,
)  # fmt: skip
"""Types whose columns Arrow makes Series of as they have to be."""


def _machine_zone() -> datetime.tzinfo | None:
    return datetime.datetime.now().astimezone().tzinfo


def frame_of(batch: pa.RecordBatch | pa.Table, schema: t.StructType, zone: str) -> Any:
    """A pandas DataFrame with these columns."""
    import pandas as pd

    if len(schema) and len(set(schema.names)) == len(schema) and all(type(field.dataType) in _SIMPLE for field in schema):
        import pyarrow as pa

        return pa.Table.from_arrays(batch.columns, names=schema.names).to_pandas(date_as_object=True, use_threads=False)
    columns = [series_of(batch.column(place), field.dataType, zone) for place, field in enumerate(schema)]
    if len(set(schema.names)) == len(schema.names) and not any(isinstance(column, pd.DataFrame) for column in columns):
        return pd.DataFrame(dict(zip(schema.names, columns)), index=range(batch.num_rows))
    plain = [
        pd.Series(values_of(batch.column(place), field.dataType), dtype=object)
        if isinstance(field.dataType, t.StructType)
        else columns[place]
        for place, field in enumerate(schema)
    ]
    frame = pd.concat(plain, axis=1) if plain else pd.DataFrame(index=range(batch.num_rows))
    frame.columns = pd.Index(schema.names)
    return frame


def column_of_series(series: Any, kind: t.DataType, zone: str) -> pa.Array:
    """What a function gave for a column (a Series, or for a struct a DataFrame) as one. Raises Misfit."""
    import pyarrow as pa

    made = _column_of_series(series, kind, zone)
    return made.combine_chunks() if isinstance(made, pa.ChunkedArray) else made


def _column_of_series(series: Any, kind: t.DataType, zone: str) -> Any:
    import pandas as pd
    import pyarrow as pa

    wanted = nullable(arrow_type(kind))
    if isinstance(kind, t.StructType) and isinstance(series, pd.DataFrame):
        parts = columns_of_frame(series, kind, zone)
        return pa.StructArray.from_arrays(parts, fields=list(wanted))
    if not isinstance(series, pd.Series):
        series = pd.Series(list(series))
    try:
        if isinstance(kind, t.TimestampType) and series.dtype.kind == "M":
            if series.dt.tz is None:
                series = series.dt.tz_localize(clock(zone) or _machine_zone(), ambiguous=True, nonexistent="shift_forward")
            return pa.Array.from_pandas(series.dt.tz_convert("UTC"), type=wanted, safe=False)
        if isinstance(kind, t.TimestampNTZType | t.DayTimeIntervalType) and series.dtype.kind in "Mm":
            return pa.Array.from_pandas(series, type=wanted, safe=False)
        if not isinstance(kind, t.NumericType | t.BooleanType | t.StringType) and series.dtype.kind in "iufb" and series.notna().any():
            # Arrow would take numbers for bytes and days.
            raise Misfit(-1, f"a Series of {series.dtype}")
        if series.dtype == object and not isinstance(kind, t.IntegralType | t.FractionalType | t.BooleanType):
            return column_of([None if _is_missing(value) else value for value in series], kind)
        return pa.Array.from_pandas(series, type=wanted, safe=True)
    except Misfit:
        raise
    except Exception as error:
        if isinstance(kind, t.StringType):
            return column_of([None if _is_missing(value) else value for value in series], kind)
        raise Misfit(-1, f"a Series of {series.dtype} ({error})") from error


def _is_missing(value: Any) -> bool:
    return value is None or value != value if not hasattr(value, "__len__") else False


def columns_of_frame(frame: Any, schema: t.StructType, zone: str) -> list[pa.Array]:
    """The columns of a DataFrame: by name where all its labels are texts, else by place. Raises Misfit."""
    if len(frame.columns) == 0 and len(frame) == 0:
        return [column_of([], field.dataType) for field in schema]
    labels = frame.columns.tolist()
    if labels and all(isinstance(label, str) for label in labels):
        places = {label: place for place, label in enumerate(labels)}
        missing = [name for name in schema.names if name not in places]
        extra = [name for name in labels if name not in schema.names]
        if missing or extra:
            raise Misfit(
                -1,
                "Column names of the returned pandas.DataFrame do not match specified schema."
                + (f" Missing: {', '.join(missing)}." if missing else "")
                + (f" Unexpected: {', '.join(extra)}." if extra else ""),
            )
        parts = [frame.iloc[:, places[name]] for name in schema.names]
    else:
        if frame.shape[1] != len(schema):
            raise Misfit(
                -1,
                "Number of columns of the returned pandas.DataFrame doesn't match specified schema. "
                f"Expected: {len(schema)}. Actual: {frame.shape[1]}.",
            )
        parts = [frame.iloc[:, place] for place in range(len(schema))]
    columns = []
    for field, part in zip(schema, parts):
        try:
            columns.append(column_of_series(part, field.dataType, zone))
        except Misfit as misfit:
            raise Misfit(misfit.row, f"column `{field.name}`: {misfit.problem}, expected {field.dataType.simpleString()}") from misfit
    return columns
