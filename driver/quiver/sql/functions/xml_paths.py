"""Functions that find things by XPath in texts in XML. Executors need the package lxml (`quiver-cluster[xml]`)."""

from __future__ import annotations

from quiver.sql.column import Column
from quiver.sql.functions.arguments import ColumnOrName, call
from quiver.sql.literals import column_of

__all__ = [
    "xpath", "xpath_boolean", "xpath_double", "xpath_float", "xpath_int", "xpath_long", "xpath_number", "xpath_short", "xpath_string",
]  # fmt: skip


def xpath(xml: ColumnOrName, path: ColumnOrName) -> Column:
    """The values of the nodes that an XPath finds in a text in XML; elements have none, their texts and attributes do.

    >>> df = spark.createDataFrame([("<a><b>1</b><b>2</b></a>",)], ["x"])
    >>> df.select(F.xpath("x", F.lit("a/b/text()"))).first()[0]
    ['1', '2']
    """
    return call("xpath", column_of(xml), column_of(path))


def xpath_string(xml: ColumnOrName, path: ColumnOrName) -> Column:
    """The text of what an XPath finds in a text in XML.

    >>> df = spark.createDataFrame([("<a><b>1</b><b>2</b></a>",)], ["x"])
    >>> df.select(F.xpath_string("x", F.lit("a/b"))).first()[0]
    '1'
    """
    return call("xpath_string", column_of(xml), column_of(path))


def xpath_boolean(xml: ColumnOrName, path: ColumnOrName) -> Column:
    """Whether an XPath finds something in a text in XML, or what it says is true.

    >>> df = spark.createDataFrame([("<a><b>1</b><b>2</b></a>",)], ["x"])
    >>> df.select(F.xpath_boolean("x", F.lit("a/b = 2"))).first()[0]
    True
    """
    return call("xpath_boolean", column_of(xml), column_of(path))


def xpath_double(xml: ColumnOrName, path: ColumnOrName) -> Column:
    """The number that an XPath finds in a text in XML, or computes; NaN for none.

    >>> df = spark.createDataFrame([("<a><b>1</b><b>2</b></a>",)], ["x"])
    >>> df.select(F.xpath_double("x", F.lit("sum(a/b)"))).first()[0]
    3.0
    """
    return call("xpath_double", column_of(xml), column_of(path))


def xpath_number(xml: ColumnOrName, path: ColumnOrName) -> Column:
    """As xpath_double.

    >>> df = spark.createDataFrame([("<a><b>1</b><b>2</b></a>",)], ["x"])
    >>> df.select(F.xpath_number("x", F.lit("a/b[2]"))).first()[0]
    2.0
    """
    return call("xpath_number", column_of(xml), column_of(path))


def xpath_float(xml: ColumnOrName, path: ColumnOrName) -> Column:
    """As xpath_double, as a float.

    >>> df = spark.createDataFrame([("<a><b>1</b><b>2</b></a>",)], ["x"])
    >>> df.select(F.xpath_float("x", F.lit("a/b[2]"))).first()[0]
    2.0
    """
    return call("xpath_float", column_of(xml), column_of(path))


def xpath_int(xml: ColumnOrName, path: ColumnOrName) -> Column:
    """The whole number that an XPath finds in a text in XML, or computes; 0 for none.

    >>> df = spark.createDataFrame([("<a><b>1</b><b>2</b></a>",)], ["x"])
    >>> df.select(F.xpath_int("x", F.lit("sum(a/b)"))).first()[0]
    3
    """
    return call("xpath_int", column_of(xml), column_of(path))


def xpath_long(xml: ColumnOrName, path: ColumnOrName) -> Column:
    """As xpath_int, as a bigint.

    >>> df = spark.createDataFrame([("<a><b>1</b><b>2</b></a>",)], ["x"])
    >>> df.select(F.xpath_long("x", F.lit("count(a/b)"))).first()[0]
    2
    """
    return call("xpath_long", column_of(xml), column_of(path))


def xpath_short(xml: ColumnOrName, path: ColumnOrName) -> Column:
    """As xpath_int, as a smallint.

    >>> df = spark.createDataFrame([("<a><b>1</b><b>2</b></a>",)], ["x"])
    >>> df.select(F.xpath_short("x", F.lit("count(//b)"))).first()[0]
    2
    """
    return call("xpath_short", column_of(xml), column_of(path))
