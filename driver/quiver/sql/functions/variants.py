"""Functions of variants: data of any shape, as JSON has it, in a binary form."""

from __future__ import annotations

from quiver.sql import types as t
from quiver.sql.column import Column
from quiver.sql.functions.arguments import ColumnOrName, call
from quiver.sql.literals import column_of, expression_of
from quiver.sql.tree import expressions as e

__all__ = [
    "is_valid_variant", "is_variant_null", "parse_json", "schema_of_variant", "schema_of_variant_agg", "to_variant_object",
    "try_parse_json", "try_variant_array_append", "try_variant_get", "try_variant_insert", "try_variant_set", "variant_array_append",
    "variant_delete", "variant_get", "variant_insert", "variant_set", "variant_strip_nulls",
]  # fmt: skip


def parse_json(col: ColumnOrName) -> Column:
    """The variant of a text in JSON. Queries fail for other texts.

    >>> spark.range(1).select(F.parse_json(F.lit('{"b": 1, "a": [2.5]}')).alias("v")).first().v.toJson()
    '{"a":[2.5],"b":1}'
    """
    return call("parse_json", column_of(col))


def try_parse_json(col: ColumnOrName) -> Column:
    """As parse_json; null for texts that are no JSON.

    >>> spark.range(1).select(F.try_parse_json(F.lit("{a"))).first()[0] is None
    True
    """
    return call("try_parse_json", column_of(col))


def to_variant_object(col: ColumnOrName) -> Column:
    """The variant of a struct, a map from texts, or an array of such: structs and maps become objects.

    >>> spark.range(1).select(F.to_variant_object(F.struct(F.lit("x").alias("a"))).alias("v")).first().v.toJson()
    '{"a":"x"}'
    """
    return call("to_variant_object", column_of(col))


def is_variant_null(v: ColumnOrName) -> Column:
    """Whether it is the null of JSON, which is a variant; false for SQL's.

    >>> spark.range(1).select(F.is_variant_null(F.parse_json(F.lit("null")))).first()[0]
    True
    """
    return call("is_variant_null", column_of(v))


def is_valid_variant(v: ColumnOrName) -> Column:
    """Whether the bytes are a variant, as those of damaged files may not be.

    >>> spark.range(1).select(F.is_valid_variant(F.parse_json(F.lit("[1]")))).first()[0]
    True
    """
    return call("is_valid_variant", column_of(v))


def variant_get(v: ColumnOrName, path: Column | str, targetType: str) -> Column:
    """What is at a path, as a type; null if nothing is. Queries fail for what can't be cast.

    >>> df = spark.createDataFrame([('{"a": [1, "2"]}',)], ["j"])
    >>> df.select(F.variant_get(F.parse_json("j"), "$.a[1]", "int"), F.variant_get(F.parse_json("j"), "$.b", "int")).first()[:]
    (2, None)
    """
    return call("variant_get", column_of(v), expression_of(path), e.Literal(targetType, t.StringType()))


def try_variant_get(v: ColumnOrName, path: Column | str, targetType: str) -> Column:
    """As variant_get; null for what can't be cast.

    >>> spark.range(1).select(F.try_variant_get(F.parse_json(F.lit('{"a": "x"}')), "$.a", "int")).first()[0] is None
    True
    """
    return call("try_variant_get", column_of(v), expression_of(path), e.Literal(targetType, t.StringType()))


def variant_delete(v: ColumnOrName, *paths: Column | str) -> Column:
    """Without what is at each of the paths, one after the other.

    >>> v = F.parse_json(F.lit('{"a": 1, "b": [2, 3]}'))
    >>> spark.range(1).select(F.to_json(F.variant_delete(v, "$.a", "$.b[0]"))).first()[0]
    '{"b":[3]}'
    """
    return call("variant_delete", column_of(v), *map(expression_of, paths))


def variant_insert(v: ColumnOrName, path: Column | str, value: ColumnOrName) -> Column:
    """With a value at a path where no member is; in an array, before the item there. Queries fail where a member is.

    >>> v = F.parse_json(F.lit('{"a": [1, 3]}'))
    >>> spark.range(1).select(F.to_json(F.variant_insert(v, "$.a[1]", F.lit(2)))).first()[0]
    '{"a":[1,2,3]}'
    """
    return call("variant_insert", column_of(v), expression_of(path), column_of(value))


def try_variant_insert(v: ColumnOrName, path: Column | str, value: ColumnOrName) -> Column:
    """As variant_insert; null where it would fail.

    >>> spark.range(1).select(F.try_variant_insert(F.parse_json(F.lit('{"a": 1}')), "$.a", F.lit(2))).first()[0] is None
    True
    """
    return call("try_variant_insert", column_of(v), expression_of(path), column_of(value))


def variant_set(v: ColumnOrName, path: Column | str, value: ColumnOrName, create_if_missing: bool = True) -> Column:
    """With another value at a path; where nothing is, a new one, unless `create_if_missing` is False.

    >>> v = F.parse_json(F.lit('{"a": 1}'))
    >>> spark.range(1).select(F.to_json(F.variant_set(v, "$.a", F.lit("x"))), F.to_json(F.variant_set(v, "$.b.c", F.lit(2)))).first()[:]
    ('{"a":"x"}', '{"a":1,"b":{"c":2}}')
    """
    return call("variant_set", column_of(v), expression_of(path), column_of(value), expression_of(create_if_missing))


def try_variant_set(v: ColumnOrName, path: Column | str, value: ColumnOrName, create_if_missing: bool = True) -> Column:
    """As variant_set; null where it would fail.

    >>> spark.range(1).select(F.try_variant_set(F.parse_json(F.lit('{"a": 1}')), "$.a.b", F.lit(2))).first()[0] is None
    True
    """
    return call("try_variant_set", column_of(v), expression_of(path), column_of(value), expression_of(create_if_missing))


def variant_array_append(v: ColumnOrName, path: Column | str, value: ColumnOrName) -> Column:
    """With a value at the end of the array at a path; as it is if nothing is there. Queries fail for what is no array.

    >>> spark.range(1).select(F.to_json(F.variant_array_append(F.parse_json(F.lit("[1]")), "$", F.lit(2)))).first()[0]
    '[1,2]'
    """
    return call("variant_array_append", column_of(v), expression_of(path), column_of(value))


def try_variant_array_append(v: ColumnOrName, path: Column | str, value: ColumnOrName) -> Column:
    """As variant_array_append; null where it would fail.

    >>> spark.range(1).select(F.try_variant_array_append(F.parse_json(F.lit("1")), "$", F.lit(2))).first()[0] is None
    True
    """
    return call("try_variant_array_append", column_of(v), expression_of(path), column_of(value))


def variant_strip_nulls(v: ColumnOrName, include_arrays: bool = True) -> Column:
    """Without members that are null, and items of arrays, unless `include_arrays` is False.

    >>> v = F.parse_json(F.lit('{"a": null, "b": [1, null]}'))
    >>> spark.range(1).select(F.to_json(F.variant_strip_nulls(v)), F.to_json(F.variant_strip_nulls(v, False))).first()[:]
    ('{"b":[1]}', '{"b":[1,null]}')
    """
    return call("variant_strip_nulls", column_of(v), expression_of(include_arrays))


def schema_of_variant(v: ColumnOrName) -> Column:
    """What a variant holds.

    >>> spark.range(1).select(F.schema_of_variant(F.parse_json(F.lit('{"a": [1, 2.5]}')))).first()[0]
    'OBJECT<a: ARRAY<DECIMAL(21,1)>>'
    """
    return call("schema_of_variant", column_of(v))


def schema_of_variant_agg(v: ColumnOrName) -> Column:
    """What the variants of a group hold: where they have nothing in common, VARIANT.

    >>> df = spark.createDataFrame([('{"a": 1}',), ('{"a": "x", "b": true}',)], ["j"])
    >>> df.select(F.schema_of_variant_agg(F.parse_json("j"))).first()[0]
    'OBJECT<a: VARIANT, b: BOOLEAN>'
    """
    return call("schema_of_variant_agg", column_of(v))
