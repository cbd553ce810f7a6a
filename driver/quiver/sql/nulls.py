"""What to do about missing values: `df.na`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from quiver.sql import types as t
from quiver.sql.column import Column
from quiver.sql.dataframe_core import DataFrameCore
from quiver.sql.errors import PySparkTypeError, PySparkValueError, column_not_found, wrong_argument
from quiver.sql.tree import expressions as e

if TYPE_CHECKING:
    from quiver.sql.dataframe import DataFrame

_MISSING = object()


class DataFrameNaFunctions:
    """drop, fill and replace, as `df.na.drop()` and so on; also `df.dropna()`, `df.fillna()`, `df.replace()`."""

    def __init__(self, df: DataFrame) -> None:
        self.df = df

    def drop(self, how: str = "any", thresh: int | None = None, subset: Any = None) -> DataFrame:
        """Without rows in which a column (how="any") or every column ("all") is null or NaN; `thresh`: with fewer values than that.

        >>> df = spark.createDataFrame([(10, "Tom"), (5, None), (None, None)], ["age", "name"])
        >>> df.na.drop().count(), df.na.drop("all").count(), df.na.drop(subset=["age"]).count()
        (1, 2, 2)
        """
        if how not in ("any", "all"):
            raise PySparkValueError(
                f"Value for `how` has to be amongst the following values: ['any', 'all'], got '{how}'.", "VALUE_NOT_ALLOWED"
            )
        columns = self._columns(subset)
        least = thresh if thresh is not None else len(columns) if how == "any" else 1
        count: e.Expression = e.Literal(0, t.IntegerType())
        for column in columns:
            there = e.Case(((is_present(column), e.Literal(1, t.IntegerType())),), e.Literal(0, t.IntegerType()))
            count = e.Call("+", (count, there))
        return self.df.filter(Column(e.Call(">=", (count, e.Literal(least, t.IntegerType())))))

    def fill(self, value: Any, subset: Any = None) -> DataFrame:
        """With a value in place of nulls (and NaN), in the columns of its type; or a dict of values by column.

        >>> df = spark.createDataFrame([(10, "Tom"), (None, None)], ["age", "name"])
        >>> df.na.fill(50).collect(), df.na.fill({"name": "?"}).collect()[1]
        ([Row(age=10, name='Tom'), Row(age=50, name=None)], Row(age=None, name='?'))
        """
        if not isinstance(value, float | int | str | bool | dict):
            raise wrong_argument("value", "bool, float, int, str or dict", value)
        if isinstance(value, dict):
            values = {self._one(name).id: item for name, item in value.items()}
            for item in values.values():
                if not isinstance(item, float | int | str | bool):
                    raise wrong_argument("value", "bool, float, int or str", item)
        else:
            values = {column.id: value for column in self._columns(subset) if _fits(value, column.type)}
        items = [_filled(column, values[column.id]) if column.id in values else column for column in self.df._relation.output]
        return self.df._with(self.df._session._state.analyser.project(self.df._relation, items))

    def replace(self, to_replace: Any, value: Any = _MISSING, subset: Any = None) -> DataFrame:
        """With other values in place of some: one for another, a list for one or for as many, or a dict of new by old.

        Numbers are looked for in columns of numbers, text in columns of text, and so on.

        >>> df = spark.createDataFrame([(10, "Tom"), (5, "Ann")], ["age", "name"])
        >>> df.na.replace({"Tom": "Tim"}).na.replace([10, 5], [1, 2]).collect()
        [Row(age=1, name='Tim'), Row(age=2, name='Ann')]
        """
        if value is _MISSING:
            if not isinstance(to_replace, dict):
                raise PySparkTypeError("Argument `value` is required when `to_replace` is not a dictionary.", "ARGUMENT_REQUIRED")
            value = None
        if not isinstance(to_replace, bool | float | int | str | list | tuple | dict):
            raise wrong_argument("to_replace", "bool, dict, float, int, str or tuple", to_replace)
        pairs = _pairs(to_replace, value)
        items: list[e.Expression] = []
        chosen = {column.id for column in self._columns(subset)}
        for column in self.df._relation.output:
            mine = [(old, new) for old, new in pairs if column.id in chosen and _fits(old, column.type)]
            items.append(_replaced(column, mine) if mine else column)
        return self.df._with(self.df._session._state.analyser.project(self.df._relation, items))

    def _columns(self, subset: Any) -> list[e.Attribute]:
        if subset is None:
            return list(self.df._relation.output)
        if not isinstance(subset, str | list | tuple):
            raise wrong_argument("subset", "str, list or tuple", subset)
        return [self._one(name) for name in ([subset] if isinstance(subset, str) else subset)]

    def _one(self, name: str) -> e.Attribute:
        found = self.df._session._state.analyser.lookup((name.strip("`"),), self.df._relation.output)
        if not isinstance(found, e.Attribute):
            raise column_not_found(name, self.df.columns)
        return found


def is_present(column: e.Expression) -> e.Expression:
    there: e.Expression = e.Call("isnotnull", (column,))
    if isinstance(column, e.Attribute) and isinstance(column.type, t.DoubleType | t.FloatType):
        there = e.Call("and", (there, e.Call("not", (e.Call("isnan", (column,)),))))
    return there


def _fits(value: Any, kind: t.DataType) -> bool:
    match value:
        case None:
            return False
        case bool():
            return isinstance(kind, t.BooleanType)
        case int() | float():
            return isinstance(kind, t.NumericType)
        case _:
            return isinstance(kind, t.StringType)


def _constant(value: Any, kind: t.DataType) -> e.Expression:
    if value is None:
        return e.Literal(None, kind)
    if isinstance(value, float) and isinstance(kind, t.IntegralType) and math.isfinite(value):
        value = int(value)
    if isinstance(kind, t.StringType):
        value = str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(kind, t.IntegralType | t.DoubleType | t.FloatType | t.StringType | t.BooleanType):
        return e.Literal(value, kind)
    from quiver.sql.literals import literal

    return e.Cast(literal(value), kind)


def _filled(column: e.Attribute, value: Any) -> e.Expression:
    return e.Alias(e.Case(((is_present(column), column),), _constant(value, column.type)), column.name)


def _replaced(column: e.Attribute, pairs: list[tuple[Any, Any]]) -> e.Expression:
    def same(old: Any) -> e.Expression:
        if isinstance(old, float) and math.isnan(old):
            return e.Call("isnan", (column,))
        from quiver.sql.literals import literal

        return e.Call("=", (column, literal(old)))

    branches = tuple((same(old), _constant(new, column.type)) for old, new in pairs)
    return e.Alias(e.Case(branches, column), column.name)


def _pairs(to_replace: Any, value: Any) -> list[tuple[Any, Any]]:
    if isinstance(to_replace, dict):
        pairs = list(to_replace.items())
    else:
        old = list(to_replace) if isinstance(to_replace, list | tuple) else [to_replace]
        new = list(value) if isinstance(value, list | tuple) else [value] * len(old)
        if len(old) != len(new):
            raise PySparkValueError(
                f"Argument `to_replace` and `value` should be the same length, got {len(old)} and {len(new)}.", "LENGTH_SHOULD_BE_THE_SAME"
            )
        pairs = list(zip(old, new))
    found: set[type] = set()
    for side in zip(*pairs):
        kinds = {
            bool if isinstance(item, bool) else float if isinstance(item, int | float) else type(item) for item in side if item is not None
        }
        found |= kinds
        if len(kinds) > 1 or len(found) > 1:
            raise PySparkValueError("Mixed type replacements are not supported.", "MIXED_TYPE_REPLACEMENT")
    return pairs


class NullOperators(DataFrameCore):
    """dropna, fillna, replace, na."""

    @property
    def na(self) -> DataFrameNaFunctions:
        """What to do about missing values.

        >>> spark.createDataFrame([(1,), (None,)], ["a"]).na.drop().count()
        1
        """
        return DataFrameNaFunctions(self._self)

    def dropna(self, how: str = "any", thresh: int | None = None, subset: Any = None) -> DataFrame:
        """Without rows that have nulls, as df.na.drop.

        >>> spark.createDataFrame([(1,), (None,)], ["a"]).dropna().count()
        1
        """
        return self.na.drop(how, thresh, subset)

    def fillna(self, value: Any, subset: Any = None) -> DataFrame:
        """With a value in place of nulls, as df.na.fill.

        >>> spark.createDataFrame([(1,), (None,)], ["a"]).fillna(0).collect()
        [Row(a=1), Row(a=0)]
        """
        return self.na.fill(value, subset)

    def replace(self, to_replace: Any, value: Any = _MISSING, subset: Any = None) -> DataFrame:
        """With other values in place of some, as df.na.replace.

        >>> spark.createDataFrame([(1,), (2,)], ["a"]).replace(1, 9).collect()
        [Row(a=9), Row(a=2)]
        """
        return self.na.replace(to_replace, value, subset)
