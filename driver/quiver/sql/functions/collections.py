"""Arrays, maps and structs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quiver.sql.column import Column
from quiver.sql.functions.arguments import ColumnOrName, call, column_or_value, optional, spread
from quiver.sql.literals import column_of, expression_of

__all__ = [
    "array",
    "array_append",
    "array_compact",
    "array_contains",
    "array_distinct",
    "array_except",
    "array_insert",
    "array_intersect",
    "array_join",
    "array_max",
    "array_min",
    "array_position",
    "array_prepend",
    "array_remove",
    "array_repeat",
    "array_size",
    "array_sort",
    "array_union",
    "arrays_overlap",
    "arrays_zip",
    "cardinality",
    "create_map",
    "element_at",
    "flatten",
    "get",
    "map_concat",
    "map_contains_key",
    "map_entries",
    "map_from_arrays",
    "map_from_entries",
    "map_keys",
    "map_values",
    "named_struct",
    "sequence",
    "shuffle",
    "size",
    "slice",
    "sort_array",
    "try_element_at",
]


def array(*cols: Any) -> Column:
    """An array of the columns.

    >>> spark.range(1).select(F.array(F.lit(1), F.lit(2))).first()[0]
    [1, 2]
    """
    return call("array", *map(column_of, spread(cols)))


def create_map(*cols: Any) -> Column:
    """A map of keys and values by turns.

    >>> spark.range(1).select(F.create_map(F.lit("a"), F.lit(1))).first()[0]
    {'a': 1}
    """
    return call("map", *map(column_of, spread(cols)))


def named_struct(*cols: ColumnOrName) -> Column:
    """A struct of names and values by turns.

    >>> spark.range(1).select(F.named_struct(F.lit("x"), F.lit(1), F.lit("y"), F.lit("b"))).first()[0]
    Row(x=1, y='b')
    """
    return call("named_struct", *map(column_of, cols))


def array_contains(col: ColumnOrName, value: Any) -> Column:
    """Whether the value is in the array; null if it is not, but a null is.

    >>> spark.range(1).select(F.array_contains(F.array(F.lit("a"), F.lit("b")), "a")).first()[0]
    True
    """
    return call("array_contains", column_of(col), expression_of(value))


def array_position(col: ColumnOrName, value: Any) -> Column:
    """Where the value is first, counted from 1; 0 if it is not there.

    >>> spark.range(1).select(F.array_position(F.array(F.lit("c"), F.lit("b")), "b")).first()[0]
    2
    """
    return call("array_position", column_of(col), expression_of(value))


def array_remove(col: ColumnOrName, element: Any) -> Column:
    """Without the value.

    >>> spark.range(1).select(F.array_remove(F.array(F.lit(1), F.lit(2), F.lit(1)), 1)).first()[0]
    [2]
    """
    return call("array_remove", column_of(col), expression_of(element))


def array_append(col: ColumnOrName, value: Any) -> Column:
    """With the value at the end.

    >>> spark.range(1).select(F.array_append(F.array(F.lit(1)), 2)).first()[0]
    [1, 2]
    """
    return call("array_append", column_of(col), expression_of(value))


def array_prepend(col: ColumnOrName, value: Any) -> Column:
    """With the value in front.

    >>> spark.range(1).select(F.array_prepend(F.array(F.lit(1)), 2)).first()[0]
    [2, 1]
    """
    return call("array_prepend", column_of(col), expression_of(value))


def array_insert(arr: ColumnOrName, pos: ColumnOrName | int, value: Any) -> Column:
    """With the value at a position, counted from 1, or from the end.

    >>> spark.range(1).select(F.array_insert(F.array(F.lit("a"), F.lit("b")), 2, "d")).first()[0]
    ['a', 'd', 'b']
    """
    return call("array_insert", column_of(arr), column_or_value(pos), expression_of(value))


def array_union(col1: ColumnOrName, col2: ColumnOrName) -> Column:
    """The values of both, each once.

    >>> spark.range(1).select(F.array_union(F.array(F.lit(1), F.lit(2)), F.array(F.lit(2), F.lit(3)))).first()[0]
    [1, 2, 3]
    """
    return call("array_union", column_of(col1), column_of(col2))


def array_intersect(col1: ColumnOrName, col2: ColumnOrName) -> Column:
    """The values that are in both, each once.

    >>> spark.range(1).select(F.array_intersect(F.array(F.lit(1), F.lit(2)), F.array(F.lit(2), F.lit(3)))).first()[0]
    [2]
    """
    return call("array_intersect", column_of(col1), column_of(col2))


def array_except(col1: ColumnOrName, col2: ColumnOrName) -> Column:
    """The values of the first that are not in the second, each once.

    >>> spark.range(1).select(F.array_except(F.array(F.lit(1), F.lit(2)), F.array(F.lit(2), F.lit(3)))).first()[0]
    [1]
    """
    return call("array_except", column_of(col1), column_of(col2))


def arrays_overlap(a1: ColumnOrName, a2: ColumnOrName) -> Column:
    """Whether a value is in both.

    >>> spark.range(1).select(F.arrays_overlap(F.array(F.lit(1)), F.array(F.lit(1), F.lit(2)))).first()[0]
    True
    """
    return call("arrays_overlap", column_of(a1), column_of(a2))


def array_distinct(col: ColumnOrName) -> Column:
    """Each value once.

    >>> spark.range(1).select(F.array_distinct(F.array(F.lit(1), F.lit(2), F.lit(1)))).first()[0]
    [1, 2]
    """
    return call("array_distinct", column_of(col))


def array_compact(col: ColumnOrName) -> Column:
    """Without nulls.

    >>> spark.range(1).select(F.array_compact(F.array(F.lit(1), F.lit(None)))).first()[0]
    [1]
    """
    return call("array_compact", column_of(col))


def array_join(col: ColumnOrName, delimiter: str, null_replacement: str | None = None) -> Column:
    """As text with a delimiter between; nulls are left out or replaced.

    >>> spark.range(1).select(F.array_join(F.array(F.lit("a"), F.lit("b")), ",")).first()[0]
    'a,b'
    """
    return call("array_join", column_of(col), expression_of(delimiter), *optional(expression_of, null_replacement))


def array_max(col: ColumnOrName) -> Column:
    """The greatest.

    >>> spark.range(1).select(F.array_max(F.array(F.lit(1), F.lit(3)))).first()[0]
    3
    """
    return call("array_max", column_of(col))


def array_min(col: ColumnOrName) -> Column:
    """The least.

    >>> spark.range(1).select(F.array_min(F.array(F.lit(1), F.lit(3)))).first()[0]
    1
    """
    return call("array_min", column_of(col))


def array_repeat(col: ColumnOrName, count: ColumnOrName | int) -> Column:
    """The value so many times.

    >>> spark.range(1).select(F.array_repeat(F.lit("ab"), 3)).first()[0]
    ['ab', 'ab', 'ab']
    """
    return call("array_repeat", column_of(col), column_or_value(count))


def array_size(col: ColumnOrName) -> Column:
    """How many values an array has.

    >>> spark.range(1).select(F.array_size(F.array(F.lit(1), F.lit(3)))).first()[0]
    2
    """
    return call("array_size", column_of(col))


def size(col: ColumnOrName) -> Column:
    """How many values an array or entries a map has.

    >>> spark.range(1).select(F.size(F.array(F.lit(1), F.lit(3)))).first()[0]
    2
    """
    return call("size", column_of(col))


def cardinality(col: ColumnOrName) -> Column:
    """How many values an array or entries a map has.

    >>> spark.range(1).select(F.cardinality(F.array(F.lit(1), F.lit(3)))).first()[0]
    2
    """
    return call("cardinality", column_of(col))


def slice(x: ColumnOrName, start: ColumnOrName | int, length: ColumnOrName | int) -> Column:
    """From a position (1: the first; negative: from the end), so many values.

    >>> spark.range(1).select(F.slice(F.array(F.lit(1), F.lit(2), F.lit(3)), 2, 2)).first()[0]
    [2, 3]
    """
    return call("slice", column_of(x), column_or_value(start), column_or_value(length))


def sort_array(col: ColumnOrName, asc: bool = True) -> Column:
    """Sorted; nulls are smallest.

    >>> spark.range(1).select(F.sort_array(F.array(F.lit(2), F.lit(1)), asc=False)).first()[0]
    [2, 1]
    """
    return call("sort_array", column_of(col), expression_of(asc))


def shuffle(col: ColumnOrName, seed: Column | int | None = None) -> Column:
    """In random order.

    >>> spark.range(1).select(F.size(F.shuffle(F.array(F.lit(1), F.lit(2))))).first()[0]
    2
    """
    return call("shuffle", column_of(col), *optional(expression_of, seed))


def flatten(col: ColumnOrName) -> Column:
    """The values of all the inner arrays.

    >>> spark.range(1).select(F.flatten(F.array(F.array(F.lit(1)), F.array(F.lit(2), F.lit(3))))).first()[0]
    [1, 2, 3]
    """
    return call("flatten", column_of(col))


def get(col: ColumnOrName, index: ColumnOrName | int) -> Column:
    """The value at an index, counted from 0; null outside.

    >>> spark.range(1).select(F.get(F.array(F.lit(1), F.lit(2)), 1)).first()[0]
    2
    """
    return call("get", column_of(col), column_or_value(index))


def element_at(col: ColumnOrName, extraction: Any) -> Column:
    """The value at a position (1: the first), or of a key; an error outside an array, null for no such key.

    >>> spark.range(1).select(F.element_at(F.array(F.lit("a"), F.lit("b")), -1)).first()[0]
    'b'
    """
    return call("element_at", column_of(col), expression_of(extraction))


def try_element_at(col: ColumnOrName, extraction: ColumnOrName) -> Column:
    """The value at a position (1: the first), or of a key; null if there is none.

    >>> spark.range(1).select(F.try_element_at(F.array(F.lit("a")), F.lit(5))).first()[0] is None
    True
    """
    return call("try_element_at", column_of(col), column_of(extraction))


def sequence(start: ColumnOrName, stop: ColumnOrName, step: ColumnOrName | None = None) -> Column:
    """All values from one to another, by a step.

    >>> spark.range(1).select(F.sequence(F.lit(1), F.lit(5), F.lit(2))).first()[0]
    [1, 3, 5]
    """
    return call("sequence", column_of(start), column_of(stop), *optional(column_of, step))


def arrays_zip(*cols: ColumnOrName) -> Column:
    """The first values of all arrays as a struct, then the second, and so on.

    >>> spark.range(1).select(F.arrays_zip(F.array(F.lit(1), F.lit(2)), F.array(F.lit("a"), F.lit("b")))).first()[0]
    [Row(0=1, 1='a'), Row(0=2, 1='b')]
    """
    return call("arrays_zip", *map(column_of, cols))


def map_keys(col: ColumnOrName) -> Column:
    """The keys.

    >>> spark.range(1).select(F.map_keys(F.create_map(F.lit("a"), F.lit(1)))).first()[0]
    ['a']
    """
    return call("map_keys", column_of(col))


def map_values(col: ColumnOrName) -> Column:
    """The values.

    >>> spark.range(1).select(F.map_values(F.create_map(F.lit("a"), F.lit(1)))).first()[0]
    [1]
    """
    return call("map_values", column_of(col))


def map_entries(col: ColumnOrName) -> Column:
    """An array of structs of key and value.

    >>> spark.range(1).select(F.map_entries(F.create_map(F.lit("a"), F.lit(1)))).first()[0]
    [Row(key='a', value=1)]
    """
    return call("map_entries", column_of(col))


def map_from_arrays(col1: ColumnOrName, col2: ColumnOrName) -> Column:
    """A map of an array of keys and one of values.

    >>> spark.range(1).select(F.map_from_arrays(F.array(F.lit("a")), F.array(F.lit(1)))).first()[0]
    {'a': 1}
    """
    return call("map_from_arrays", column_of(col1), column_of(col2))


def map_from_entries(col: ColumnOrName) -> Column:
    """A map of an array of structs.

    >>> spark.range(1).select(F.map_from_entries(F.array(F.struct(F.lit("a"), F.lit(1))))).first()[0]
    {'a': 1}
    """
    return call("map_from_entries", column_of(col))


def map_concat(*cols: Any) -> Column:
    """All entries of the maps.

    >>> spark.range(1).select(F.map_concat(F.create_map(F.lit("a"), F.lit(1)), F.create_map(F.lit("b"), F.lit(2)))).first()[0]
    {'a': 1, 'b': 2}
    """
    return call("map_concat", *map(column_of, spread(cols)))


def map_contains_key(col: ColumnOrName, value: Any) -> Column:
    """Whether the map has the key.

    >>> spark.range(1).select(F.map_contains_key(F.create_map(F.lit("a"), F.lit(1)), "a")).first()[0]
    True
    """
    return call("map_contains_key", column_of(col), expression_of(value))


def array_sort(col: ColumnOrName, comparator: Callable[[Column, Column], Column] | None = None) -> Column:
    """Sorted, nulls last; or by a function that gives a negative number, 0 or a positive one for two values.

    >>> spark.range(1).select(F.array_sort(F.array(F.lit(2), F.lit(None), F.lit(1)))).first()[0]
    [1, 2, None]
    """
    if comparator is None:
        return call("array_sort", column_of(col))
    from quiver.sql.functions.lambdas import lambda_of

    return call("array_sort", column_of(col), lambda_of(comparator, 2, 2))
