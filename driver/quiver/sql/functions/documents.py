"""Functions of text in JSON, CSV and XML."""

from __future__ import annotations

import json
from collections.abc import Mapping

from quiver.sql import types as t
from quiver.sql.column import Column
from quiver.sql.functions.arguments import ColumnOrName, call
from quiver.sql.literals import column_of, expression_of
from quiver.sql.tree import expressions as e

__all__ = [
    "from_csv", "from_json", "from_xml", "get_json_object", "json_array_length", "json_object_keys", "json_tuple", "schema_of_csv",
    "schema_of_json", "schema_of_xml", "to_csv", "to_json", "to_xml",
]  # fmt: skip
Options = Mapping[str, str]
Schema = t.StructType | t.ArrayType | t.MapType | Column | str


def _read(name: str, col: ColumnOrName, schema: Schema, options: Options | None) -> Column:
    wanted = e.Literal(None, schema) if isinstance(schema, t.DataType) else expression_of(schema)
    return call(name, column_of(col), wanted, *_options(options))


def _options(options: Options | None) -> tuple[e.Expression, ...]:
    if not options:
        return ()
    return (e.Literal(json.dumps({key: _text(value) for key, value in options.items()}), t.StringType()),)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def from_json(col: ColumnOrName, schema: Schema, options: Options | None = None) -> Column:
    """Text in JSON as a struct, array or map of that type; malformed text gives nulls (or fails, with `mode` FAILFAST).

    >>> df = spark.createDataFrame([('{"a": 1}',), ('{"a": ',)], ["v"])
    >>> df.select(F.from_json("v", "a INT").alias("j")).collect()
    [Row(j=Row(a=1)), Row(j=Row(a=None))]
    """
    return _read("from_json", col, schema, options)


def to_json(col: ColumnOrName, options: Options | None = None) -> Column:
    """A struct, array or map as text in JSON; members of structs that are null are left out.

    >>> spark.range(1).select(F.to_json(F.struct(F.lit("x").alias("a"), F.lit(None).cast("int").alias("b"))).alias("j")).first()[0]
    '{"a":"x"}'
    """
    return call("to_json", column_of(col), *_options(options))


def from_csv(col: ColumnOrName, schema: t.StructType | Column | str, options: Options | None = None) -> Column:
    """A line of CSV as a struct of that type; what does not fit is null.

    >>> spark.createDataFrame([("1,x",)], ["v"]).select(F.from_csv("v", "a INT, b STRING").alias("r")).collect()
    [Row(r=Row(a=1, b='x'))]
    """
    return _read("from_csv", col, schema, options)


def to_csv(col: ColumnOrName, options: Options | None = None) -> Column:
    """A struct as a line of CSV.

    >>> spark.range(1).select(F.to_csv(F.struct(F.lit(2), F.lit("Alice"))).alias("v")).first()[0]
    '2,Alice'
    """
    return call("to_csv", column_of(col), *_options(options))


def from_xml(col: ColumnOrName, schema: t.StructType | Column | str, options: Options | None = None) -> Column:
    """Text of an element in XML as a struct of its attributes (`_name`) and elements; with text beside them, that is `_VALUE`.

    What does not fit is null, and what comes after it. Texts with a document type are malformed, as entities could be declared there.

    >>> df = spark.createDataFrame([('<p k="x"><a>1</a><a>2</a></p>',), ("<p><a>",)], ["v"])
    >>> df.select(F.from_xml("v", "_k STRING, a ARRAY<INT>").alias("p")).collect()
    [Row(p=Row(_k='x', a=[1, 2])), Row(p=Row(_k=None, a=None))]
    """
    return _read("from_xml", col, schema, options)


def to_xml(col: ColumnOrName, options: Options | None = None) -> Column:
    """A struct as text in XML: an element `ROW` (or `rowTag`) of its members; those that are null are left out.

    >>> spark.range(1).select(F.to_xml(F.struct(F.lit("x").alias("_k"), F.array(F.lit(1), F.lit(2)).alias("a")), {"indent": ""})).first()[0]
    '<ROW k="x"><a>1</a><a>2</a></ROW>\\n'
    """
    return call("to_xml", column_of(col), *_options(options))


def schema_of_xml(xml: Column | str, options: Options | None = None) -> Column:
    """The type of a text in XML, as DDL.

    >>> spark.range(1).select(F.schema_of_xml('<p><a k="x">1</a></p>').alias("s")).first()[0]
    'STRUCT<a: STRUCT<_VALUE: BIGINT, _k: STRING>>'
    """
    return call("schema_of_xml", expression_of(xml), *_options(options))


def get_json_object(col: ColumnOrName, path: str) -> Column:
    """What is at a path (`$.a.b[0]`, `$.a[*]`) in text in JSON, as text; null when nothing is.

    >>> spark.range(1).select(F.get_json_object(F.lit('{"a": {"b": [1, 2]}}'), "$.a.b").alias("r")).first()[0]
    '[1,2]'
    """
    return call("get_json_object", column_of(col), expression_of(path))


def json_tuple(col: ColumnOrName, *fields: str) -> Column:
    """Some members of an object in JSON as columns c0, c1 … of text.

    >>> spark.range(1).select(F.json_tuple(F.lit('{"a": 1, "b": "x"}'), "a", "b")).collect()
    [Row(c0='1', c1='x')]
    """
    if not fields:
        from quiver.sql.errors import PySparkValueError

        raise PySparkValueError("At least one field must be specified.", "CANNOT_BE_EMPTY")
    return call("json_tuple", column_of(col), *map(expression_of, fields))


def schema_of_json(json: Column | str, options: Options | None = None) -> Column:
    """The type of a text in JSON, as DDL.

    >>> spark.range(1).select(F.schema_of_json('{"a": [1]}').alias("s")).first()[0]
    'STRUCT<a: ARRAY<BIGINT>>'
    """
    return call("schema_of_json", expression_of(json), *_options(options))


def schema_of_csv(csv: Column | str, options: Options | None = None) -> Column:
    """The type of a line of CSV, as DDL.

    >>> spark.range(1).select(F.schema_of_csv("1,a").alias("s")).first()[0]
    'STRUCT<_c0: INT, _c1: STRING>'
    """
    return call("schema_of_csv", expression_of(csv), *_options(options))


def json_array_length(col: ColumnOrName) -> Column:
    """How many items an array in JSON has; null for other text.

    >>> spark.range(1).select(F.json_array_length(F.lit("[1, 2, 3]")).alias("n")).first()[0]
    3
    """
    return call("json_array_length", column_of(col))


def json_object_keys(col: ColumnOrName) -> Column:
    """The names of the members of an object in JSON; null for other text.

    >>> spark.range(1).select(F.json_object_keys(F.lit('{"a": 1, "b": 2}')).alias("k")).first()[0]
    ['a', 'b']
    """
    return call("json_object_keys", column_of(col))
