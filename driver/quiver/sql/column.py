"""Column: an expression over the columns of a DataFrame, built with Python's operators."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from quiver.sql import types as t
from quiver.sql.analysis.pretty import pretty
from quiver.sql.tree import expressions as e

if TYPE_CHECKING:
    from quiver.sql.window import WindowSpec


class Column:
    """A column of a DataFrame, or a computation on columns.

    >>> df = spark.createDataFrame([(2, "Alice"), (5, "Bob")], ["age", "name"])
    >>> df.select(df.name, (df.age + 1).alias("next")).collect()
    [Row(name='Alice', next=3), Row(name='Bob', next=6)]
    """

    __slots__ = ("_expression",)

    def __init__(self, expression: e.Expression) -> None:
        self._expression = expression

    def __repr__(self) -> str:
        return f"Column<'{pretty(self._expression)}'>"

    def __bool__(self) -> bool:
        raise ValueError(
            "Cannot convert column into bool: please use '&' for 'and', '|' for 'or', '~' for 'not' "
            "when building DataFrame boolean expressions."
        )

    __hash__ = None  # type: ignore[assignment]

    # ---- operators ----

    def _binary(self, name: str, other: Any) -> Column:
        return Column(e.Call(name, (self._expression, expression_of(other))))

    def _reflected(self, name: str, other: Any) -> Column:
        return Column(e.Call(name, (expression_of(other), self._expression)))

    def __add__(self, other: Any) -> Column:
        return self._binary("+", other)

    def __radd__(self, other: Any) -> Column:
        return self._reflected("+", other)

    def __sub__(self, other: Any) -> Column:
        return self._binary("-", other)

    def __rsub__(self, other: Any) -> Column:
        return self._reflected("-", other)

    def __mul__(self, other: Any) -> Column:
        return self._binary("*", other)

    def __rmul__(self, other: Any) -> Column:
        return self._reflected("*", other)

    def __truediv__(self, other: Any) -> Column:
        return self._binary("/", other)

    def __rtruediv__(self, other: Any) -> Column:
        return self._reflected("/", other)

    def __mod__(self, other: Any) -> Column:
        return self._binary("%", other)

    def __rmod__(self, other: Any) -> Column:
        return self._reflected("%", other)

    def __neg__(self) -> Column:
        return Column(e.Call("negative", (self._expression,)))

    def __eq__(self, other: Any) -> Column:  # type: ignore[override]
        return self._binary("=", other)

    def __ne__(self, other: Any) -> Column:  # type: ignore[override]
        return Column(e.Call("not", (e.Call("=", (self._expression, expression_of(other))),)))

    def __lt__(self, other: Any) -> Column:
        return self._binary("<", other)

    def __le__(self, other: Any) -> Column:
        return self._binary("<=", other)

    def __gt__(self, other: Any) -> Column:
        return self._binary(">", other)

    def __ge__(self, other: Any) -> Column:
        return self._binary(">=", other)

    def __and__(self, other: Any) -> Column:
        return self._binary("and", other)

    def __rand__(self, other: Any) -> Column:
        return self._reflected("and", other)

    def __or__(self, other: Any) -> Column:
        return self._binary("or", other)

    def __ror__(self, other: Any) -> Column:
        return self._reflected("or", other)

    def __invert__(self) -> Column:
        return Column(e.Call("not", (self._expression,)))

    def eqNullSafe(self, other: Any) -> Column:
        """Equal, where null equals null."""
        return self._binary("<=>", other)

    # ---- names, types, order ----

    def alias(self, *alias: str, **kwargs: Any) -> Column:
        """The same values under another name; several names for a generator's columns. `metadata=`: a dict to keep with the column."""
        metadata = kwargs.pop("metadata", None)
        if kwargs:
            raise TypeError(f"alias() got an unexpected argument {next(iter(kwargs))!r}")
        if len(alias) != 1:
            return Column(e.MultiAlias(self._expression, alias))
        return Column(e.Alias(self._expression, alias[0], metadata=tuple(sorted((metadata or {}).items()))))

    name = alias

    def cast(self, dataType: t.DataType | str) -> Column:
        """As another type, given as such or in SQL (`"int"`). A value that can't be is an error of the job."""
        kind = t.DataType.fromDDL(dataType) if isinstance(dataType, str) else dataType
        return Column(e.Cast(self._expression, kind))

    astype = cast

    def try_cast(self, dataType: t.DataType | str) -> Column:
        """As another type; null where a value can't be."""
        kind = t.DataType.fromDDL(dataType) if isinstance(dataType, str) else dataType
        return Column(e.Cast(self._expression, kind, lenient=True))

    def _sorted(self, ascending: bool, nulls_first: bool | None = None) -> Column:
        return Column(e.SortKey(self._expression, ascending, nulls_first))

    def asc(self) -> Column:
        """To sort by, smallest first, nulls before all."""
        return self._sorted(True)

    def desc(self) -> Column:
        """To sort by, largest first, nulls after all."""
        return self._sorted(False)

    def asc_nulls_first(self) -> Column:
        return self._sorted(True, True)

    def asc_nulls_last(self) -> Column:
        return self._sorted(True, False)

    def desc_nulls_first(self) -> Column:
        return self._sorted(False, True)

    def desc_nulls_last(self) -> Column:
        return self._sorted(False, False)

    # ---- tests ----

    def isNull(self) -> Column:
        return Column(e.Call("isnull", (self._expression,)))

    def isNotNull(self) -> Column:
        return Column(e.Call("isnotnull", (self._expression,)))

    def isin(self, *cols: Any) -> Column:
        """Whether it equals one of the values (or of a list of them)."""
        options = cols[0] if len(cols) == 1 and isinstance(cols[0], list | set | tuple) else cols
        return Column(e.In(self._expression, tuple(map(expression_of, options))))

    def between(self, lowerBound: Any, upperBound: Any) -> Column:
        """Whether it is at least the one and at most the other."""
        return self._binary(">=", lowerBound)._binary("and", self._binary("<=", upperBound))

    def like(self, other: str) -> Column:
        return self._binary("like", other)

    def ilike(self, other: str) -> Column:
        return self._binary("ilike", other)

    def rlike(self, other: str) -> Column:
        return self._binary("rlike", other)

    # ---- conditions, windows ----

    def when(self, condition: Column, value: Any) -> Column:
        """Another branch after functions.when. Raises TypeError elsewhere."""
        case = self._expression
        if not isinstance(case, e.Case) or case.otherwise is not None:
            raise TypeError("when() can only be applied on a Column previously generated by when() function, before otherwise()")
        return Column(e.Case((*case.branches, (condition._expression, expression_of(value)))))

    def otherwise(self, value: Any) -> Column:
        """The value where no condition of functions.when holds. Raises TypeError elsewhere."""
        case = self._expression
        if not isinstance(case, e.Case) or case.otherwise is not None:
            raise TypeError("otherwise() can only be applied on a Column previously generated by when()")
        return Column(e.Case(case.branches, expression_of(value)))

    def over(self, window: WindowSpec) -> Column:
        """An aggregate or window function over these rows."""
        return Column(e.Windowed(self._expression, window._spec))

    def substr(self, startPos: Any, length: Any) -> Column:
        return Column(e.Call("substring", (self._expression, expression_of(startPos), expression_of(length))))

    def getField(self, name: Any) -> Column:
        return self._binary("getfield", name)

    def getItem(self, key: Any) -> Column:
        return self._binary("getitem", key)


def expression_of(value: Any) -> e.Expression:
    """A Column's expression, or a literal. Raises TypeError for what is neither."""
    return value._expression if isinstance(value, Column) else literal(value)


def column_of(value: Any) -> e.Expression:
    """A Column's expression, or the column of that name (`*`: all)."""
    if isinstance(value, Column):
        return value._expression
    if isinstance(value, str):
        return named(value)
    raise TypeError(f"[NOT_COLUMN_OR_STR] Argument `col` should be a Column or str, got {type(value).__name__}.")


def named(name: str) -> e.Expression:
    """The column that a dotted name means; backticks keep a dot in a name."""
    if name == "*":
        return e.Star()
    parts: list[str] = []
    rest = name
    while rest:
        if rest.startswith("`"):
            part, _, rest = rest[1:].partition("`")
            rest = rest.removeprefix(".")
        else:
            part, _, rest = rest.partition(".")
        parts.append(part)
    if parts[-1:] == ["*"]:
        return e.Star(tuple(parts[:-1]))
    return e.Name(tuple(parts) or ("",))


_PYTHON: tuple[tuple[Any, Callable[[Any], t.DataType]], ...] = (
    (bool, lambda value: t.BooleanType()),
    (
        int,
        lambda value: t.IntegerType() if -(2**31) <= value < 2**31 else t.LongType() if -(2**63) <= value < 2**63 else t.DecimalType(38, 0),
    ),
    (float, lambda value: t.DoubleType()),
    (str, lambda value: t.StringType()),
    (bytes | bytearray, lambda value: t.BinaryType()),
    (decimal.Decimal, lambda value: _decimal_type(value)),
    (datetime.datetime, lambda value: t.TimestampType()),
    (datetime.date, lambda value: t.DateType()),
    (datetime.timedelta, lambda value: t.DayTimeIntervalType()),
)


def _decimal_type(value: decimal.Decimal) -> t.DecimalType:
    _, digits, exponent = value.as_tuple()
    scale = max(0, -exponent) if isinstance(exponent, int) else 0
    return t.DecimalType(max(len(digits), scale, 1) if not isinstance(exponent, int) or exponent <= 0 else len(digits) + exponent, scale)


def literal(value: Any) -> e.Expression:
    """A constant of the type that Spark gives such a Python value."""
    if value is None:
        return e.Literal(None, t.NullType())
    for kind, type_of in _PYTHON:
        if isinstance(value, kind):
            return e.Literal(value, type_of(value))
    if isinstance(value, list | tuple):
        return e.Call("array", tuple(map(expression_of, value)))
    raise TypeError(f"[UNSUPPORTED_LITERAL] a {type(value).__name__} can't be a constant of a query: {value!r}")
