"""Functions of angles, and the hyperbolic ones."""

from __future__ import annotations

from quiver.sql.column import Column
from quiver.sql.functions.arguments import ColumnOrName, call, column_or_value
from quiver.sql.literals import column_of

__all__ = [
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cos",
    "cosh",
    "cot",
    "csc",
    "degrees",
    "hypot",
    "pi",
    "radians",
    "sec",
    "sin",
    "sinh",
    "tan",
    "tanh",
]


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


def pi() -> Column:
    """The circle's number.

    >>> spark.range(1).select(F.pi()).first()[0]
    3.141592653589793
    """
    return call("pi")


def hypot(col1: ColumnOrName | float, col2: ColumnOrName | float) -> Column:
    """The hypotenuse.

    >>> spark.range(1).select(F.hypot(F.lit(3), F.lit(4))).first()[0]
    5.0
    """
    return call("hypot", column_or_value(col1), column_or_value(col2))
