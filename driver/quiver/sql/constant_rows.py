"""Rows of constants, as rows that the driver has."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable, Sequence
from typing import Any, Final

from quiver.sql import types as t
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r

_CLASSES: Final[dict[type[t.DataType], type]] = {
    t.ByteType: int, t.ShortType: int, t.IntegerType: int, t.LongType: int, t.StringType: str, t.BooleanType: bool, t.DoubleType: float,
    t.DateType: datetime.date, t.DecimalType: decimal.Decimal, t.TimestampType: datetime.datetime, t.TimestampNTZType: datetime.datetime,
    t.BinaryType: bytes,
}  # fmt: skip
"""Types of which a literal's value is as it stands in a column, and what it is in Python."""
_Cast = Callable[[Any], Any] | None


def local_rows(rows: Sequence[Sequence[e.Expression]], columns: tuple[e.Attribute, ...]) -> r.Local | None:
    """The rows as one piece, whose order stays whatever is made of it. None where a cell is no constant of the column's type or of one
    that has no value which that lacks: other casts follow rules of Spark's."""
    import pyarrow as pa

    from quiver.sql.python.values import column_of

    arrays = []
    for place, column in enumerate(columns):
        if type(column.type) not in _CLASSES:
            return None
        values: list[Any] = []
        casts: dict[t.DataType, tuple[bool, _Cast]] = {}
        for row in rows:
            cell = _bare(row[place], column.type)
            if cell is None:
                return None
            if cell.value is None:
                values.append(None)
                continue
            found = casts.get(cell.type)
            if found is None:
                found = casts[cell.type] = _cast(cell.type, column.type)
            fits, cast = found
            if not fits or type(cell.value) is not _CLASSES[type(cell.type)]:
                return None
            values.append(cell.value if cast is None else cast(cell.value))
        arrays.append(column_of(values, column.type))
    return r.Local(pa.Table.from_arrays(arrays, [f"c{number}" for number in range(len(arrays))]), columns)


def _bare(cell: e.Expression, wanted: t.DataType) -> e.Literal | None:
    """The constant that it is, maybe cast to the column's type."""
    if isinstance(cell, e.Alias):
        cell = cell.child
    if isinstance(cell, e.Cast) and cell.type == wanted and not cell.lenient:
        cell = cell.child
    return cell if isinstance(cell, e.Literal) else None


_DIGITS: Final[dict[type[t.DataType], int]] = {t.ByteType: 3, t.ShortType: 5, t.IntegerType: 10, t.LongType: 19}
"""Of whole numbers, at most; a type of more digits has room for those of fewer."""


def _cast(given: t.DataType, wanted: t.DataType) -> tuple[bool, _Cast]:
    """(whether all values of the one are values of the other, what makes them such)."""
    if isinstance(wanted, t.TimestampType):
        return given == wanted, lambda moment: moment.astimezone(datetime.UTC)
    if given == wanted:
        return True, None
    if isinstance(wanted, t.DoubleType):
        return isinstance(given, t.IntegralType | t.DecimalType), float
    if isinstance(given, t.IntegralType) and isinstance(wanted, t.IntegralType):
        return _DIGITS[type(given)] <= _DIGITS[type(wanted)], None
    if isinstance(wanted, t.DecimalType):
        whole = wanted.precision - wanted.scale
        if isinstance(given, t.IntegralType):
            return _DIGITS[type(given)] <= whole, decimal.Decimal
        if isinstance(given, t.DecimalType):
            return wanted.scale >= given.scale and whole >= given.precision - given.scale, None
    return False, None
