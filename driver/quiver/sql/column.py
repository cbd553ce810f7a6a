"""Column: an expression over the columns of a DataFrame, built with Python's operators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from quiver.sql import types as t
from quiver.sql.analysis.pretty import pretty
from quiver.sql.column_operators import ColumnOperators
from quiver.sql.errors import IllegalArgumentException, PySparkTypeError, PySparkValueError, wrong_argument
from quiver.sql.literals import expression_of, literal
from quiver.sql.tree import expressions as e
from quiver.sql.tree.relations import Relation

if TYPE_CHECKING:
    from quiver.sql.window import WindowSpec


class Column(ColumnOperators):
    """A column of a DataFrame, or a computation on columns.

    >>> df = spark.createDataFrame([(2, "Alice"), (5, "Bob")], ["age", "name"])
    >>> df.select(df.name, (df.age + 1).alias("next")).collect()
    [Row(name='Alice', next=3), Row(name='Bob', next=6)]
    """

    __slots__ = ()

    def __repr__(self) -> str:
        expression = self._expression
        return f"Column<'{'.'.join(expression.parts) if isinstance(expression, e.Name) else pretty(expression)}'>"

    def __bool__(self) -> bool:
        raise PySparkValueError(
            "Cannot convert column into bool: please use '&' for 'and', '|' for 'or', '~' for 'not' "
            "when building DataFrame boolean expressions.",
            "CANNOT_CONVERT_COLUMN_INTO_BOOL",
        )

    def __contains__(self, item: object) -> bool:
        raise PySparkValueError(
            "Cannot apply 'in' operator against a column: please use 'contains' in a string column or 'array_contains' "
            "function for an array column.",
            "CANNOT_APPLY_IN_FOR_COLUMN",
        )

    def __iter__(self) -> Iterator[Any]:
        raise PySparkTypeError("Column is not iterable.", "NOT_ITERABLE")

    def __getattr__(self, item: Any) -> Column:
        if item.startswith("__"):
            raise AttributeError(f"Attribute `{item}` is not supported.")
        return self.getField(item)

    def __getitem__(self, k: Any) -> Column:
        if isinstance(k, slice):
            if k.step is not None:
                raise PySparkValueError("Using a slice with step is not supported.", "SLICE_WITH_STEP")
            return self.substr(k.start, k.stop)
        return self.getItem(k)

    # ---- names, types, order ----

    def alias(self, *alias: str, **kwargs: Any) -> Column:
        """The same values under another name; several names for a generator's columns. `metadata=`: a dict to keep with the column.

        >>> df = spark.range(1).select(F.col("id").alias("n", metadata={"unit": "m"}))
        >>> df.columns, df.schema["n"].metadata
        (['n'], {'unit': 'm'})
        """
        metadata = kwargs.pop("metadata", None)
        if kwargs:
            raise PySparkValueError(f"alias() got an unexpected argument {next(iter(kwargs))!r}", "UNEXPECTED_ARGUMENT")
        if len(alias) != 1:
            if metadata is not None:
                raise PySparkValueError("metadata can only be provided for a single column.", "ONLY_ALLOWED_FOR_SINGLE_COLUMN")
            return Column(e.MultiAlias(self._expression, alias))
        return Column(e.Alias(self._expression, alias[0], metadata=tuple(sorted((metadata or {}).items()))))

    name = alias

    def cast(self, dataType: t.DataType | str) -> Column:
        """As another type, given as such or in SQL (`"int"`). A value that can't be is an error of the job.

        >>> spark.range(2).select(F.col("id").cast("string")).collect()
        [Row(id='0'), Row(id='1')]
        """
        return Column(e.Cast(self._expression, _type(dataType)))

    astype = cast

    def try_cast(self, dataType: t.DataType | str) -> Column:
        """As another type; null where a value can't be.

        >>> df = spark.createDataFrame([("1",), ("one",)], ["text"])
        >>> df.select(df.text.try_cast("int").alias("number")).collect()
        [Row(number=1), Row(number=None)]
        """
        return Column(e.Cast(self._expression, _type(dataType), lenient=True))

    def _sorted(self, ascending: bool, nulls_first: bool | None = None) -> Column:
        return Column(e.SortKey(self._expression, ascending, nulls_first))

    def asc(self) -> Column:
        """To sort by, smallest first, nulls before all.

        >>> df = spark.createDataFrame([("b",), (None,), ("a",)], ["x"])
        >>> [row.x for row in df.orderBy(df.x.asc()).collect()]
        [None, 'a', 'b']
        """
        return self._sorted(True)

    def desc(self) -> Column:
        """To sort by, largest first, nulls after all.

        >>> df = spark.createDataFrame([("b",), (None,), ("a",)], ["x"])
        >>> [row.x for row in df.orderBy(df.x.desc()).collect()]
        ['b', 'a', None]
        """
        return self._sorted(False)

    def asc_nulls_first(self) -> Column:
        """To sort by, nulls before the smallest.

        >>> df = spark.createDataFrame([("b",), (None,)], ["x"])
        >>> [row.x for row in df.orderBy(df.x.asc_nulls_first()).collect()]
        [None, 'b']
        """
        return self._sorted(True, True)

    def asc_nulls_last(self) -> Column:
        """To sort by, smallest first, nulls after the largest.

        >>> df = spark.createDataFrame([(None,), ("b",)], "x string")
        >>> [row.x for row in df.orderBy(df.x.asc_nulls_last()).collect()]
        ['b', None]
        """
        return self._sorted(True, False)

    def desc_nulls_first(self) -> Column:
        """To sort by, nulls before the largest.

        >>> df = spark.createDataFrame([("b",), (None,)], ["x"])
        >>> [row.x for row in df.orderBy(df.x.desc_nulls_first()).collect()]
        [None, 'b']
        """
        return self._sorted(False, True)

    def desc_nulls_last(self) -> Column:
        """To sort by, largest first, nulls after the smallest.

        >>> df = spark.createDataFrame([(None,), ("b",)], "x string")
        >>> [row.x for row in df.orderBy(df.x.desc_nulls_last()).collect()]
        ['b', None]
        """
        return self._sorted(False, False)

    # ---- tests ----

    def isNull(self) -> Column:
        """Whether there is no value.

        >>> df = spark.createDataFrame([("Tom", 80), ("Ann", None)], ["name", "height"])
        >>> df.filter(df.height.isNull()).collect()
        [Row(name='Ann', height=None)]
        """
        return Column(e.Call("isnull", (self._expression,)))

    def isNotNull(self) -> Column:
        """Whether there is a value.

        >>> df = spark.createDataFrame([("Tom", 80), ("Ann", None)], ["name", "height"])
        >>> df.filter(df.height.isNotNull()).collect()
        [Row(name='Tom', height=80)]
        """
        return Column(e.Call("isnotnull", (self._expression,)))

    def isNaN(self) -> Column:
        """Whether it is not a number.

        >>> df = spark.createDataFrame([(1.0,), (float("nan"),)], ["x"])
        >>> df.select(df.x.isNaN().alias("nan")).collect()
        [Row(nan=False), Row(nan=True)]
        """
        return Column(e.Call("isnan", (self._expression,)))

    def isin(self, *cols: Any) -> Column:
        """Whether it equals one of the values, of a list of them, or of a DataFrame's only column.

        >>> df = spark.createDataFrame([(2, "Alice"), (5, "Bob")], ["age", "name"])
        >>> df.filter(df.name.isin("Bob", "Mike")).collect()
        [Row(age=5, name='Bob')]
        >>> df.filter(df.age.isin(spark.range(3))).collect()
        [Row(age=2, name='Alice')]
        """
        if len(cols) == 1 and isinstance(relation := getattr(cols[0], "_relation", None), Relation):
            return Column(e.InSubquery(self._expression, relation))
        options = cols[0] if len(cols) == 1 and isinstance(cols[0], list | set | tuple) else cols
        if not options:
            return Column(e.Literal(False, t.BooleanType()))
        return Column(e.In(self._expression, tuple(map(expression_of, options))))

    def between(self, lowerBound: Any, upperBound: Any) -> Column:
        """Whether it is at least the one and at most the other.

        >>> spark.range(5).filter(F.col("id").between(2, 3)).collect()
        [Row(id=2), Row(id=3)]
        """
        return self._binary(">=", lowerBound)._binary("and", self._binary("<=", upperBound))

    def like(self, other: Any) -> Column:
        """Whether the text fits a pattern of SQL: `%` any characters, `_` one.

        >>> df = spark.createDataFrame([("Alice",), ("Bob",)], ["name"])
        >>> df.filter(df.name.like("Al%")).collect()
        [Row(name='Alice')]
        """
        return self._binary("like", other)

    def ilike(self, other: Any) -> Column:
        """As like, upper and lower case being the same.

        >>> df = spark.createDataFrame([("Alice",), ("Bob",)], ["name"])
        >>> df.filter(df.name.ilike("%Ice")).collect()
        [Row(name='Alice')]
        """
        return self._binary("ilike", other)

    def rlike(self, other: Any) -> Column:
        """Whether a regular expression is found in the text.

        >>> df = spark.createDataFrame([("Alice",), ("Bob",)], ["name"])
        >>> df.filter(df.name.rlike("ice$")).collect()
        [Row(name='Alice')]
        """
        return self._binary("rlike", other)

    def contains(self, other: Any) -> Column:
        """Whether the other text is in this one.

        >>> df = spark.createDataFrame([("Alice",), ("Bob",)], ["name"])
        >>> df.filter(df.name.contains("o")).collect()
        [Row(name='Bob')]
        """
        return self._binary("contains", other)

    def startswith(self, other: Any) -> Column:
        """Whether the text begins so.

        >>> df = spark.createDataFrame([("Alice",), ("Bob",)], ["name"])
        >>> df.filter(df.name.startswith("Al")).collect()
        [Row(name='Alice')]
        """
        return self._binary("startswith", other)

    def endswith(self, other: Any) -> Column:
        """Whether the text ends so.

        >>> df = spark.createDataFrame([("Alice",), ("Bob",)], ["name"])
        >>> df.filter(df.name.endswith("ice")).collect()
        [Row(name='Alice')]
        """
        return self._binary("endswith", other)

    # ---- conditions, windows ----

    def when(self, condition: Column, value: Any) -> Column:
        """Another branch after functions.when. Raises IllegalArgumentException elsewhere.

        >>> size = F.when(F.col("id") > 1, "large").when(F.col("id") > 0, "middle").otherwise("small")
        >>> [row[0] for row in spark.range(3).select(size).collect()]
        ['small', 'middle', 'large']
        """
        if not isinstance(condition, Column):
            raise wrong_argument("condition", "Column", condition)
        case = self._expression
        if not isinstance(case, e.Case) or case.otherwise is not None:
            raise IllegalArgumentException(
                "when() can only be applied on a Column previously generated by when() function, before otherwise()"
            )
        return Column(e.Case((*case.branches, (condition._expression, expression_of(value)))))

    def otherwise(self, value: Any) -> Column:
        """The value where no condition of functions.when holds. Raises IllegalArgumentException elsewhere.

        >>> spark.range(2).select(F.when(F.col("id") > 0, 1).otherwise(0)).columns
        ['CASE WHEN (id > 0) THEN 1 ELSE 0 END']
        """
        case = self._expression
        if not isinstance(case, e.Case) or case.otherwise is not None:
            raise IllegalArgumentException("otherwise() can only be applied on a Column previously generated by when()")
        return Column(e.Case(case.branches, expression_of(value)))

    def outer(self) -> Column:
        """This column of the query around the one that it is used in (DataFrame.lateralJoin, scalar, exists).

        >>> df = spark.createDataFrame([(1, 5), (1, 7), (2, 3)], ["k", "v"])
        >>> best = df.alias("b").where(F.col("b.k") == F.col("a.k").outer()).select(F.max("v")).scalar()
        >>> df.alias("a").where(F.col("v") == best).orderBy("k").collect()
        [Row(k=1, v=7), Row(k=2, v=3)]
        """
        return Column(e.Outer(self._expression))

    def over(self, window: WindowSpec) -> Column:
        """An aggregate or window function over these rows.

        >>> from quiver.sql import Window
        >>> spark.range(3).select(F.sum("id").over(Window.orderBy("id")).alias("running")).collect()
        [Row(running=0), Row(running=1), Row(running=3)]
        """
        from quiver.sql.window import WindowSpec

        if not isinstance(window, WindowSpec):
            raise wrong_argument("window", "WindowSpec", window)
        return Column(e.Windowed(self._expression, window._spec))

    # ---- parts ----

    def substr(self, startPos: Any, length: Any) -> Column:
        """The part of the text from a position (the first is 1), of this length; both numbers, or both Columns.

        >>> df = spark.createDataFrame([("Alice",)], ["name"])
        >>> df.select(df.name.substr(1, 3).alias("start")).collect()
        [Row(start='Ali')]
        """
        if isinstance(startPos, Column) is not isinstance(length, Column):
            raise PySparkTypeError(
                f"Argument `startPos` and `length` should be the same type, got {type(startPos).__name__} and {type(length).__name__}.",
                "NOT_SAME_TYPE",
            )
        if not isinstance(startPos, int | Column):
            raise wrong_argument("startPos", "Column or int", startPos)
        return Column(e.Call("substr", (self._expression, expression_of(startPos), expression_of(length))))

    def getField(self, name: Any) -> Column:
        """A member of a struct.

        >>> df = spark.createDataFrame([(1, "a")], ["x", "y"]).select(F.struct("x", "y").alias("s"))
        >>> df.select(df.s.getField("y"), df.s["x"], df.s.x.alias("again")).collect()
        [Row(s.y='a', s.x=1, again=1)]
        """
        return self._binary("getfield", name)

    def getItem(self, key: Any) -> Column:
        """The item of an array at a position (the first is 0), or of a map by its key.

        >>> df = spark.createDataFrame([([1, 2],)], ["xs"])
        >>> df.select(df.xs.getItem(0), df.xs[1]).collect()
        [Row(xs[0]=1, xs[1]=2)]
        """
        return self._binary("getitem", key)

    def withField(self, fieldName: str, col: Column) -> Column:
        """A struct with this member, in place of the one of that name or at the end.

        >>> df = spark.range(1).select(F.struct("id").alias("s"))
        >>> df.select(df.s.withField("two", F.lit(2)).alias("s")).select("s.*").collect()
        [Row(id=0, two=2)]
        """
        if not isinstance(fieldName, str):
            raise wrong_argument("fieldName", "str", fieldName)
        if not isinstance(col, Column):
            raise wrong_argument("col", "Column", col)
        return Column(e.Call("withfield", (self._expression, literal(fieldName), col._expression)))

    def dropFields(self, *fieldNames: str) -> Column:
        """A struct without these members.

        >>> df = spark.createDataFrame([(1, "a")], ["x", "y"]).select(F.struct("x", "y").alias("s"))
        >>> df.select(df.s.dropFields("x").alias("s")).select("s.*").collect()
        [Row(y='a')]
        """
        return Column(e.Call("dropfields", (self._expression, *map(literal, fieldNames))))

    def transform(self, f: Callable[[Column], Column]) -> Column:
        """What a function makes of the Column.

        >>> spark.range(1).select(F.col("id").transform(lambda c: c + 1).alias("next")).collect()
        [Row(next=1)]
        """
        result = f(self)
        if not isinstance(result, Column):
            raise PySparkTypeError(f"the function given to transform returned a {type(result).__name__}, not a Column.", "NOT_COLUMN")
        return result


def _type(dataType: t.DataType | str) -> t.DataType:
    if isinstance(dataType, str):
        return t.DataType.fromDDL(dataType)
    if isinstance(dataType, t.DataType):
        return dataType
    raise wrong_argument("dataType", "DataType or str", dataType)
