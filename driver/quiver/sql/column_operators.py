"""Python's operators on Columns."""

from __future__ import annotations

from typing import Any, Self

from quiver.sql.literals import expression_of
from quiver.sql.tree import expressions as e


class ColumnOperators:
    """The base of Column: what `+`, `==`, `&` and the like make of one."""

    __slots__ = ("_expression",)

    def __init__(self, expression: e.Expression) -> None:
        self._expression = expression

    __hash__ = None  # type: ignore[assignment]

    def _binary(self, name: str, other: Any) -> Self:
        return type(self)(e.Call(name, (self._expression, expression_of(other))))

    def _reflected(self, name: str, other: Any) -> Self:
        return type(self)(e.Call(name, (expression_of(other), self._expression)))

    def __add__(self, other: Any) -> Self:
        return self._binary("+", other)

    def __radd__(self, other: Any) -> Self:
        return self._reflected("+", other)

    def __sub__(self, other: Any) -> Self:
        return self._binary("-", other)

    def __rsub__(self, other: Any) -> Self:
        return self._reflected("-", other)

    def __mul__(self, other: Any) -> Self:
        return self._binary("*", other)

    def __rmul__(self, other: Any) -> Self:
        return self._reflected("*", other)

    def __truediv__(self, other: Any) -> Self:
        return self._binary("/", other)

    def __rtruediv__(self, other: Any) -> Self:
        return self._reflected("/", other)

    def __mod__(self, other: Any) -> Self:
        return self._binary("%", other)

    def __rmod__(self, other: Any) -> Self:
        return self._reflected("%", other)

    def __pow__(self, other: Any) -> Self:
        return self._binary("power", other)

    def __rpow__(self, other: Any) -> Self:
        return self._reflected("power", other)

    def __neg__(self) -> Self:
        return type(self)(e.Call("negative", (self._expression,)))

    def __eq__(self, other: Any) -> Self:  # type: ignore[override]
        return self._binary("=", other)

    def __ne__(self, other: Any) -> Self:  # type: ignore[override]
        return type(self)(e.Call("not", (e.Call("=", (self._expression, expression_of(other))),)))

    def __lt__(self, other: Any) -> Self:
        return self._binary("<", other)

    def __le__(self, other: Any) -> Self:
        return self._binary("<=", other)

    def __gt__(self, other: Any) -> Self:
        return self._binary(">", other)

    def __ge__(self, other: Any) -> Self:
        return self._binary(">=", other)

    def __and__(self, other: Any) -> Self:
        return self._binary("and", other)

    def __rand__(self, other: Any) -> Self:
        return self._reflected("and", other)

    def __or__(self, other: Any) -> Self:
        return self._binary("or", other)

    def __ror__(self, other: Any) -> Self:
        return self._reflected("or", other)

    def __invert__(self) -> Self:
        return type(self)(e.Call("not", (self._expression,)))

    def eqNullSafe(self, other: Any) -> Self:
        """Equal, where null equals null.

        >>> df = spark.createDataFrame([(1, "a"), (2, None)], ["id", "value"])
        >>> df.select(df.value.eqNullSafe(None).alias("same")).collect()
        [Row(same=False), Row(same=True)]
        """
        return self._binary("<=>", other)

    def bitwiseAND(self, other: Any) -> Self:
        """Bits that both have.

        >>> spark.range(170, 171).select(F.col("id").bitwiseAND(75).alias("both")).collect()
        [Row(both=10)]
        """
        return self._binary("&", other)

    def bitwiseOR(self, other: Any) -> Self:
        """Bits that either has.

        >>> spark.range(170, 171).select(F.col("id").bitwiseOR(75).alias("either")).collect()
        [Row(either=235)]
        """
        return self._binary("|", other)

    def bitwiseXOR(self, other: Any) -> Self:
        """Bits that exactly one has.

        >>> spark.range(170, 171).select(F.col("id").bitwiseXOR(75).alias("one")).collect()
        [Row(one=225)]
        """
        return self._binary("^", other)
