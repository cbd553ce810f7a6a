"""Conditions that compare a column with a constant: what sources can answer before a row is read. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from quiver.sql import types as t
from quiver.sql.analysis.typing import type_of
from quiver.sql.tree import expressions as e
from quiver_proto.sources.columnar_files import ParquetFiles

_TURNED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True, slots=True)
class Comparison:
    """`operator`: = < <= > >=, isnull or isnotnull, which have no value. `value` is a Python value, not None."""

    column: e.Attribute
    operator: str
    value: Any = None


def comparison(condition: e.Expression) -> Comparison | None:
    """What the condition compares; None for all others."""
    if not isinstance(condition, e.Call):
        return None
    if condition.name in ("isnull", "isnotnull") and isinstance(column := condition.args[0], e.Attribute):
        return Comparison(column, condition.name)
    if condition.name not in _TURNED or len(condition.args) != 2:
        return None
    left, right = condition.args
    operator = condition.name
    if _constant(left) is not None:
        left, right, operator = right, left, _TURNED[operator]
    while isinstance(left, e.Cast) and _keeps_order(left):
        left = left.child
    value = _constant(right)
    return Comparison(left, operator, value) if isinstance(left, e.Attribute) and value is not None else None


def _constant(expression: e.Expression) -> Any:
    if isinstance(expression, e.Cast):
        return _constant(expression.child) if isinstance(expression.type, t.NumericType) else None
    return expression.value if isinstance(expression, e.Literal) else None


def _keeps_order(cast: e.Cast) -> bool:
    return isinstance(cast.type, t.NumericType) and isinstance(type_of(cast.child), t.IntegralType)


class Skipping:
    """What Parquet files that Python reads can leave out: groups of rows whose statistics say that a condition holds for none."""

    def __init__(self, parts: tuple[Any, ...]) -> None:
        self._parts = parts

    def __call__(self, wanted: frozenset[str], conditions: Iterable[e.Expression]) -> tuple[ParquetFiles, tuple[Any, ...]]:
        """The reader and its parts; it reads those of `wanted` anyway."""
        found = (comparison(each) for each in conditions)
        return ParquetFiles(tuple((c.column.name, c.operator, c.value) for c in found if c is not None and _is_told(c))), self._parts


def _is_told(compared: Comparison) -> bool:
    """Whether statistics order such values as Spark does."""
    kind, value = compared.column.type, compared.value
    if compared.operator in ("isnull", "isnotnull"):
        return True
    if isinstance(value, bool):
        return False
    if isinstance(kind, t.IntegralType):
        return isinstance(value, int | Decimal)
    if isinstance(kind, t.FloatType | t.DoubleType):
        # Statistics leave out NaN, which is more than all others.
        return isinstance(value, int | float) and value == value and compared.operator in ("<", "<=", "=")
    if isinstance(kind, t.DecimalType):
        return isinstance(value, int | Decimal)
    if isinstance(kind, t.DateType):
        return isinstance(value, datetime.date) and not isinstance(value, datetime.datetime)
    return isinstance(kind, t.StringType) and isinstance(value, str)
