"""Functions of numbers and bits."""

from __future__ import annotations

from quiver.sql.column import Column, column_of, expression_of
from quiver.sql.functions.arguments import ColumnOrName, call, column_or_value, optional

__all__ = [
    "abs",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "bin",
    "bit_count",
    "bit_get",
    "bitwise_not",
    "bround",
    "cbrt",
    "ceil",
    "ceiling",
    "conv",
    "cos",
    "cosh",
    "cot",
    "csc",
    "degrees",
    "e",
    "exp",
    "expm1",
    "factorial",
    "floor",
    "getbit",
    "hypot",
    "isnan",
    "ln",
    "log",
    "log1p",
    "log2",
    "log10",
    "nanvl",
    "negative",
    "pi",
    "pmod",
    "positive",
    "pow",
    "radians",
    "rint",
    "round",
    "sec",
    "shiftleft",
    "shiftright",
    "shiftrightunsigned",
    "sign",
    "signum",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
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


def acos(col: ColumnOrName) -> Column:
    """Inverse cosine, in radians.

    >>> spark.range(1).select(F.acos(F.lit(1.0))).first()[0]
    0.0
    """
    return call("acos", column_of(col))


def acosh(col: ColumnOrName) -> Column:
    """Inverse hyperbolic cosine.

    >>> spark.range(1).select(F.acosh(F.lit(1.0))).first()[0]
    0.0
    """
    return call("acosh", column_of(col))


def asin(col: ColumnOrName) -> Column:
    """Inverse sine, in radians.

    >>> spark.range(1).select(F.asin(F.lit(0.0))).first()[0]
    0.0
    """
    return call("asin", column_of(col))


def asinh(col: ColumnOrName) -> Column:
    """Inverse hyperbolic sine.

    >>> spark.range(1).select(F.asinh(F.lit(0.0))).first()[0]
    0.0
    """
    return call("asinh", column_of(col))


def atan(col: ColumnOrName) -> Column:
    """Inverse tangent, in radians.

    >>> spark.range(1).select(F.atan(F.lit(0.0))).first()[0]
    0.0
    """
    return call("atan", column_of(col))


def atanh(col: ColumnOrName) -> Column:
    """Inverse hyperbolic tangent.

    >>> spark.range(1).select(F.atanh(F.lit(0.0))).first()[0]
    0.0
    """
    return call("atanh", column_of(col))


def atan2(col1: ColumnOrName | float, col2: ColumnOrName | float) -> Column:
    """The angle of a point given as y and x, in radians.

    >>> spark.range(1).select(F.atan2(F.lit(0.0), F.lit(1.0))).first()[0]
    0.0
    """
    return call("atan2", column_or_value(col1), column_or_value(col2))


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


def cos(col: ColumnOrName) -> Column:
    """Cosine of radians.

    >>> spark.range(1).select(F.cos(F.lit(0.0))).first()[0]
    1.0
    """
    return call("cos", column_of(col))


def cosh(col: ColumnOrName) -> Column:
    """Hyperbolic cosine.

    >>> spark.range(1).select(F.cosh(F.lit(0.0))).first()[0]
    1.0
    """
    return call("cosh", column_of(col))


def cot(col: ColumnOrName) -> Column:
    """Cotangent of radians.

    >>> spark.range(1).select(F.round(F.cot(F.lit(1.0)), 6)).first()[0]
    0.642093
    """
    return call("cot", column_of(col))


def csc(col: ColumnOrName) -> Column:
    """Cosecant of radians.

    >>> spark.range(1).select(F.round(F.csc(F.lit(1.0)), 6)).first()[0]
    1.188395
    """
    return call("csc", column_of(col))


def sec(col: ColumnOrName) -> Column:
    """Secant of radians.

    >>> spark.range(1).select(F.sec(F.lit(0.0))).first()[0]
    1.0
    """
    return call("sec", column_of(col))


def sin(col: ColumnOrName) -> Column:
    """Sine of radians.

    >>> spark.range(1).select(F.sin(F.lit(0.0))).first()[0]
    0.0
    """
    return call("sin", column_of(col))


def sinh(col: ColumnOrName) -> Column:
    """Hyperbolic sine.

    >>> spark.range(1).select(F.sinh(F.lit(0.0))).first()[0]
    0.0
    """
    return call("sinh", column_of(col))


def tan(col: ColumnOrName) -> Column:
    """Tangent of radians.

    >>> spark.range(1).select(F.tan(F.lit(0.0))).first()[0]
    0.0
    """
    return call("tan", column_of(col))


def tanh(col: ColumnOrName) -> Column:
    """Hyperbolic tangent.

    >>> spark.range(1).select(F.tanh(F.lit(0.0))).first()[0]
    0.0
    """
    return call("tanh", column_of(col))


def degrees(col: ColumnOrName) -> Column:
    """Radians as degrees.

    >>> spark.range(1).select(F.round(F.degrees(F.lit(1.0)), 6)).first()[0]
    57.29578
    """
    return call("degrees", column_of(col))


def radians(col: ColumnOrName) -> Column:
    """Degrees as radians.

    >>> spark.range(1).select(F.round(F.radians(F.lit(180)), 6)).first()[0]
    3.141593
    """
    return call("radians", column_of(col))


def e() -> Column:
    """Euler's number.

    >>> spark.range(1).select(F.e()).first()[0]
    2.718281828459045
    """
    return call("e")


def pi() -> Column:
    """The circle's number.

    >>> spark.range(1).select(F.pi()).first()[0]
    3.141592653589793
    """
    return call("pi")


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


def hypot(col1: ColumnOrName | float, col2: ColumnOrName | float) -> Column:
    """The hypotenuse.

    >>> spark.range(1).select(F.hypot(F.lit(3), F.lit(4))).first()[0]
    5.0
    """
    return call("hypot", column_or_value(col1), column_or_value(col2))


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
    return call("log", column_or_value(arg1), *optional(column_of, arg2))


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
    return call("pow", column_or_value(col1), column_or_value(col2))


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


def bitwise_not(col: ColumnOrName) -> Column:
    """All bits turned.

    >>> spark.range(1).select(F.bitwise_not(F.lit(0))).first()[0]
    -1
    """
    return call("bitwise_not", column_of(col))


def bit_count(col: ColumnOrName) -> Column:
    """How many bits are set.

    >>> spark.range(1).select(F.bit_count(F.lit(7))).first()[0]
    3
    """
    return call("bit_count", column_of(col))


def bit_get(col: ColumnOrName, pos: ColumnOrName) -> Column:
    """The bit at a position, counted from the right from 0.

    >>> spark.range(1).select(F.bit_get(F.lit(5), F.lit(2))).first()[0]
    1
    """
    return call("bit_get", column_of(col), column_of(pos))


def getbit(col: ColumnOrName, pos: ColumnOrName) -> Column:
    """The bit at a position; see bit_get.

    >>> spark.range(1).select(F.getbit(F.lit(5), F.lit(1))).first()[0]
    0
    """
    return call("getbit", column_of(col), column_of(pos))


def shiftleft(col: ColumnOrName, numBits: int) -> Column:
    """Bits moved left.

    >>> spark.range(1).select(F.shiftleft(F.lit(21), 1)).first()[0]
    42
    """
    return call("shiftleft", column_of(col), expression_of(numBits))


def shiftright(col: ColumnOrName, numBits: int) -> Column:
    """Bits moved right, the sign kept.

    >>> spark.range(1).select(F.shiftright(F.lit(-42), 1)).first()[0]
    -21
    """
    return call("shiftright", column_of(col), expression_of(numBits))


def shiftrightunsigned(col: ColumnOrName, numBits: int) -> Column:
    """Bits moved right, zeros put in.

    >>> spark.range(1).select(F.shiftrightunsigned(F.lit(-42), 1)).first()[0]
    2147483627
    """
    return call("shiftrightunsigned", column_of(col), expression_of(numBits))


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
