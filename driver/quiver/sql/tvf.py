"""Functions that give rows: `spark.tvf.explode(…)`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quiver.sql import functions
from quiver.sql.column import Column
from quiver.sql.functions.arguments import call

if TYPE_CHECKING:
    from quiver.sql.dataframe import DataFrame
    from quiver.sql.session import Session


class TableValuedFunction:
    """Each gives a DataFrame; on columns of a query around it (`col("x").outer()`), what lateralJoin takes.

    >>> orders = spark.createDataFrame([(1, ["a", "b"]), (2, [])], ["id", "items"])
    >>> orders.lateralJoin(spark.tvf.explode(F.col("items").outer())).select("id", "col").collect()
    [Row(id=1, col='a'), Row(id=1, col='b')]
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def _of(self, column: Column) -> DataFrame:
        return self._session.range(1).select(column)

    def range(self, start: int, end: int | None = None, step: int = 1, numPartitions: int | None = None) -> DataFrame:
        """As spark.range.

        >>> spark.tvf.range(2).collect()
        [Row(id=0), Row(id=1)]
        """
        return self._session.range(start, end, step, numPartitions)

    def explode(self, collection: Column) -> DataFrame:
        """A row for each element of an array, or entry of a map.

        >>> spark.tvf.explode(F.array(F.lit(1), F.lit(2))).collect()
        [Row(col=1), Row(col=2)]
        """
        return self._of(functions.explode(collection))

    def explode_outer(self, collection: Column) -> DataFrame:
        """As explode; one row of null for nothing."""
        return self._of(functions.explode_outer(collection))

    def posexplode(self, collection: Column) -> DataFrame:
        """As explode, with positions from 0.

        >>> spark.tvf.posexplode(F.array(F.lit("a"))).collect()
        [Row(pos=0, col='a')]
        """
        return self._of(functions.posexplode(collection))

    def posexplode_outer(self, collection: Column) -> DataFrame:
        """As posexplode; one row of nulls for nothing."""
        return self._of(functions.posexplode_outer(collection))

    def inline(self, input: Column) -> DataFrame:
        """A row for each struct of an array.

        >>> spark.tvf.inline(F.array(F.struct(F.lit(1).alias("a"), F.lit("x").alias("b")))).collect()
        [Row(a=1, b='x')]
        """
        return self._of(functions.inline(input))

    def inline_outer(self, input: Column) -> DataFrame:
        """As inline; one row of nulls for nothing."""
        return self._of(functions.inline_outer(input))

    def stack(self, n: Column, *fields: Column) -> DataFrame:
        """The values as `n` rows.

        >>> spark.tvf.stack(F.lit(2), F.lit(1), F.lit(2)).collect()
        [Row(col0=1), Row(col0=2)]
        """
        return self._of(functions.stack(n, *fields))

    def variant_explode(self, input: Column) -> DataFrame:
        """A row for each member of an object, or item of an array: its position, its name and its value.

        >>> spark.tvf.variant_explode(F.parse_json(F.lit('["a", 2]'))).select("pos", "key", F.to_json("value").alias("value")).collect()
        [Row(pos=0, key=None, value='"a"'), Row(pos=1, key=None, value='2')]
        """
        return self._of(call("variant_explode", input._expression))

    def variant_explode_outer(self, input: Column) -> DataFrame:
        """As variant_explode; one row of nulls for nothing."""
        return self._of(call("variant_explode_outer", input._expression))

    def json_tuple(self, input: Column, *fields: Column) -> DataFrame:
        """The members of a text in JSON by name, as texts.

        >>> spark.tvf.json_tuple(F.lit('{"a": 1, "b": "x"}'), F.lit("a"), F.lit("b")).collect()
        [Row(c0='1', c1='x')]
        """
        return self._of(call("json_tuple", input._expression, *(field._expression for field in fields)))
