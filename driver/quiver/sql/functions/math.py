"""Functions of numbers and bits."""

from __future__ import annotations

from quiver.sql.column import Column
from quiver.sql.functions.arguments import ColumnOrName, call, column_or_value, optional
from quiver.sql.literals import column_of, expression_of

__all__ = [
    "abs",
    "bin",
    "bround",
    "cbrt",
    "ceil",
    "ceiling",
    "conv",
    "e",
    "exp",
    "expm1",
    "factorial",
    "floor",
    "isnan",
    "ln",
    "log",
    "log1p",
    "log2",
    "log10",
    "nanvl",
    "negative",
    "pmod",
    "positive",
    "pow",
    "rint",
    "round",
    "sign",
    "signum",
    "sqrt",
    "try_add",
    "try_divide",
    "try_mod",
    "try_multiply",
    "try_subtract",
    "width_bucket",
]


def abs(col: ColumnOrName) -> Column:
    """Without its sign.

    >>> spark.range(1).select(F.abs(F.lit(-2))).first()[0]
    2
    """
    return call("abs", column_of(col))


def cbrt(col: ColumnOrName) -> Column:
    """The cube root.

    >>> spark.range(1).select(F.cbrt(F.lit(27.0))).first()[0]
    3.0
    """
    return call("cbrt", column_of(col))


def ceil(col: ColumnOrName, scale: Column | int | None = None) -> Column:
    """The least integer not below it; with a scale, to so many places.

    >>> spark.range(1).select(F.ceil(F.lit(-0.1))).first()[0]
    0
    """
    return call("ceil", column_of(col), *optional(expression_of, scale))


def ceiling(col: ColumnOrName, scale: Column | int | None = None) -> Column:
    """The least integer not below it; see ceil.

    >>> spark.range(1).select(F.ceiling(F.lit(2.1))).first()[0]
    3
    """
    return call("ceiling", column_of(col), *optional(expression_of, scale))


def floor(col: ColumnOrName, scale: Column | int | None = None) -> Column:
    """The greatest integer not above it; with a scale, to so many places.

    >>> spark.range(1).select(F.floor(F.lit(-0.1))).first()[0]
    -1
    """
    return call("floor", column_of(col), *optional(expression_of, scale))


def e() -> Column:
    """Euler's number.

    >>> spark.range(1).select(F.e()).first()[0]
    2.718281828459045
    """
    return call("e")


def exp(col: ColumnOrName) -> Column:
    """e to that power.

    >>> spark.range(1).select(F.exp(F.lit(0.0))).first()[0]
    1.0
    """
    return call("exp", column_of(col))


def expm1(col: ColumnOrName) -> Column:
    """e to that power, less one, exact near 0.

    >>> spark.range(1).select(F.expm1(F.lit(0.0))).first()[0]
    0.0
    """
    return call("expm1", column_of(col))


def ln(col: ColumnOrName) -> Column:
    """The natural logarithm; null where there is none.

    >>> spark.range(1).select(F.ln(F.lit(1.0))).first()[0]
    0.0
    """
    return call("ln", column_of(col))


def log(arg1: ColumnOrName | float, arg2: ColumnOrName | None = None) -> Column:
    """The natural logarithm, or that to a base; null where there is none.

    >>> spark.range(1).select(F.round(F.log(2.0, F.lit(8)), 6)).first()[0]
    3.0
    """
    return call("ln", column_or_value(arg1)) if arg2 is None else call("log", column_or_value(arg1), column_of(arg2))


def log10(col: ColumnOrName) -> Column:
    """The logarithm to base 10.

    >>> spark.range(1).select(F.log10(F.lit(100.0))).first()[0]
    2.0
    """
    return call("log10", column_of(col))


def log1p(col: ColumnOrName) -> Column:
    """The natural logarithm of one more.

    >>> spark.range(1).select(F.log1p(F.lit(0.0))).first()[0]
    0.0
    """
    return call("log1p", column_of(col))


def log2(col: ColumnOrName) -> Column:
    """The logarithm to base 2.

    >>> spark.range(1).select(F.log2(F.lit(8.0))).first()[0]
    3.0
    """
    return call("log2", column_of(col))


def pow(col1: ColumnOrName | float, col2: ColumnOrName | float) -> Column:
    """To that power.

    >>> spark.range(1).select(F.pow(F.lit(2), F.lit(10))).first()[0]
    1024.0
    """
    return call("power", column_or_value(col1), column_or_value(col2))


def pmod(dividend: ColumnOrName | float, divisor: ColumnOrName | float) -> Column:
    """The remainder, never negative for a positive divisor.

    >>> spark.range(1).select(F.pmod(F.lit(-7), F.lit(3))).first()[0]
    2
    """
    return call("pmod", column_or_value(dividend), column_or_value(divisor))


def rint(col: ColumnOrName) -> Column:
    """The nearest whole number, ties to even.

    >>> spark.range(1).select(F.rint(F.lit(2.5))).first()[0]
    2.0
    """
    return call("rint", column_of(col))


def round(col: ColumnOrName, scale: Column | int | None = None) -> Column:
    """To so many places, halves away from zero.

    >>> spark.range(1).select(F.round(F.lit(2.345), 2)).first()[0]
    2.35
    """
    return call("round", column_of(col), *optional(expression_of, scale))


def bround(col: ColumnOrName, scale: Column | int | None = None) -> Column:
    """To so many places, halves to even.

    >>> spark.range(1).select(F.bround(F.lit(2.5))).first()[0]
    2.0
    """
    return call("bround", column_of(col), *optional(expression_of, scale))


def sign(col: ColumnOrName) -> Column:
    """-1.0, 0.0 or 1.0.

    >>> spark.range(1).select(F.sign(F.lit(-3))).first()[0]
    -1.0
    """
    return call("sign", column_of(col))


def signum(col: ColumnOrName) -> Column:
    """-1.0, 0.0 or 1.0.

    >>> spark.range(1).select(F.signum(F.lit(-3))).first()[0]
    -1.0
    """
    return call("signum", column_of(col))


def sqrt(col: ColumnOrName) -> Column:
    """The square root.

    >>> spark.range(1).select(F.sqrt(F.lit(16))).first()[0]
    4.0
    """
    return call("sqrt", column_of(col))


def negative(col: ColumnOrName) -> Column:
    """With the other sign.

    >>> spark.range(1).select(F.negative(F.lit(3))).first()[0]
    -3
    """
    return call("negative", column_of(col))


def positive(col: ColumnOrName) -> Column:
    """As it is.

    >>> spark.range(1).select(F.positive(F.lit(3))).first()[0]
    3
    """
    return call("positive", column_of(col))


def factorial(col: ColumnOrName) -> Column:
    """The product of all integers up to it; null beyond 20.

    >>> spark.range(1).select(F.factorial(F.lit(5))).first()[0]
    120
    """
    return call("factorial", column_of(col))


def width_bucket(v: ColumnOrName, min: ColumnOrName, max: ColumnOrName, numBucket: ColumnOrName | int) -> Column:
    """In which of so many equal buckets between two bounds it falls.

    >>> spark.range(1).select(F.width_bucket(F.lit(5.3), F.lit(0.2), F.lit(10.6), 5)).first()[0]
    3
    """
    return call("width_bucket", column_of(v), column_of(min), column_of(max), column_or_value(numBucket))


def bin(col: ColumnOrName) -> Column:
    """In binary digits.

    >>> spark.range(1).select(F.bin(F.lit(13))).first()[0]
    '1101'
    """
    return call("bin", column_of(col))


def conv(col: ColumnOrName, fromBase: int, toBase: int) -> Column:
    """A number as text, from one base to another.

    >>> spark.range(1).select(F.conv(F.lit("100"), 2, 10)).first()[0]
    '4'
    """
    return call("conv", column_of(col), expression_of(fromBase), expression_of(toBase))


def try_add(left: ColumnOrName, right: ColumnOrName) -> Column:
    """The sum; null where it overflows.

    >>> spark.range(1).select(F.try_add(F.lit(2147483647), F.lit(1))).first()[0] is None
    True
    """
    return call("try_add", column_of(left), column_of(right))


def try_subtract(left: ColumnOrName, right: ColumnOrName) -> Column:
    """The difference; null where it overflows.

    >>> spark.range(1).select(F.try_subtract(F.lit(5), F.lit(3))).first()[0]
    2
    """
    return call("try_subtract", column_of(left), column_of(right))


def try_multiply(left: ColumnOrName, right: ColumnOrName) -> Column:
    """The product; null where it overflows.

    >>> spark.range(1).select(F.try_multiply(F.lit(2147483647), F.lit(2))).first()[0] is None
    True
    """
    return call("try_multiply", column_of(left), column_of(right))


def try_divide(left: ColumnOrName, right: ColumnOrName) -> Column:
    """The quotient; null where the divisor is 0.

    >>> spark.range(1).select(F.try_divide(F.lit(1), F.lit(0))).first()[0] is None
    True
    """
    return call("try_divide", column_of(left), column_of(right))


def try_mod(left: ColumnOrName, right: ColumnOrName) -> Column:
    """The remainder; null where the divisor is 0.

    >>> spark.range(1).select(F.try_mod(F.lit(7), F.lit(0))).first()[0] is None
    True
    """
    return call("try_mod", column_of(left), column_of(right))


def isnan(col: ColumnOrName) -> Column:
    """Whether it is NaN; a null is not.

    >>> spark.range(1).select(F.isnan(F.lit(float("nan")))).first()[0]
    True
    """
    return call("isnan", column_of(col))


def nanvl(col1: ColumnOrName, col2: ColumnOrName) -> Column:
    """The first, unless it is NaN: then the second.

    >>> spark.range(1).select(F.nanvl(F.lit(float("nan")), F.lit(1.0))).first()[0]
    1.0
    """
    return call("nanvl", column_of(col1), column_of(col2))
