"""Functions of bits."""

from __future__ import annotations

from quiver.sql.column import Column
from quiver.sql.functions.arguments import ColumnOrName, call
from quiver.sql.literals import column_of, expression_of

__all__ = ["bit_count", "bit_get", "bitwise_not", "getbit", "shiftleft", "shiftright", "shiftrightunsigned"]


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
