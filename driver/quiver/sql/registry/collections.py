"""Arrays and maps."""

from __future__ import annotations

from collections.abc import Sequence

from quiver.sql import types as t
from quiver.sql.analysis.coercion import expect_common
from quiver.sql.errors import AnalysisException, SparkRuntimeException
from quiver.sql.lowering.names import cast
from quiver.sql.registry.define import Gives, define, element_type, mismatch, result
from quiver.sql.registry.model import Coerce, Function, Lower, Types, register
from quiver.sql.registry.python import python
from quiver_proto.spark_functions import lists, sequences

INT, S, B = result("i"), result("s"), result("b")


def _with_value(name: str) -> Coerce:
    """The element type, and that of the value, brought together."""

    def coerce(kinds: Types) -> Sequence[t.DataType | None]:
        array, value = kinds[0], kinds[-1]
        if isinstance(array, t.NullType):
            array = t.ArrayType(value)
        if not isinstance(array, t.ArrayType):
            raise mismatch(name, 1, "an array", array)
        both = expect_common(name, (array.elementType, value))
        middle: list[t.DataType | None] = [t.IntegerType()] * (len(kinds) - 2)
        return [t.ArrayType(both, array.containsNull), *middle, both]

    return coerce


def _of_value(name: str, gives: str | Gives, lower: Lower, nullable: bool | None = None) -> None:
    arity = (3, 3) if name == "array_insert" else (2, 2)
    register(Function(name, lower, result(gives), _with_value(name), nullable=nullable, arity=arity))


def _nullable_array(kinds: Types) -> t.DataType:
    return t.ArrayType(element_type(kinds[0]), True)


_of_value("array_contains", "b", python(lists.array_contains, B))
_of_value("array_position", "l", python(lists.array_position, result("l")))
_of_value("array_remove", "0", python(lists.array_remove, lambda kinds: kinds[0]))
_of_value(
    "array_append", _nullable_array, lambda args, kinds: f"CASE WHEN {args[0]} IS NOT NULL THEN array_append({args[0]}, {args[1]}) END"
)
_of_value(
    "array_prepend", _nullable_array, lambda args, kinds: f"CASE WHEN {args[0]} IS NOT NULL THEN array_prepend({args[1]}, {args[0]}) END"
)
_of_value("array_insert", _nullable_array, python(lists.array_insert, _nullable_array, nulls=True))


def _two(name: str, gives: str) -> None:
    def coerce(kinds: Types) -> Sequence[t.DataType | None]:
        for number, kind in enumerate(kinds, 1):
            if not isinstance(kind, t.ArrayType | t.NullType):
                raise mismatch(name, number, "an array", kind)
        return [expect_common(name, kinds)] * 2

    register(Function(name, python(getattr(lists, name), result(gives)), result(gives), coerce, arity=(2, 2)))


for _name in ("array_union", "array_intersect", "array_except"):
    _two(_name, "0")
_two("arrays_overlap", "b")
define("array_distinct", "a", "0", python(lists.array_distinct, result("0")))
define("array_compact", "a", "0", python(lists.array_compact, result("0")))
define("array_join", "as?s", "s", python(lists.array_join, S))
define("array_max", "a", "e0", python(lists.array_max, result("e0")), nullable=True)
define("array_min", "a", "e0", python(lists.array_min, result("e0")), nullable=True)
define("array_repeat", "*i", "[0]", python(lists.array_repeat, result("[0]"), nulls=True))
define("array_size", "a", "i", "CAST(array_length({0}) AS INT)")
define("slice", "aii", "0", python(lists.slice_of, result("0")))
define("sort_array", "a?b", "0", python(lists.sort_array, result("0")))


def _sorted(args: Sequence[str], kinds: Types) -> str:
    return python(lists.array_sort, result("0"))(args, kinds)


register(
    Function(
        "array_sort",
        _sorted,
        result("0"),
        lambda kinds: [t.ArrayType(t.NullType()) if isinstance(kinds[0], t.NullType) else None, None][: len(kinds)],
        arity=(1, 2),
        parameters=lambda kinds, count: [element_type(kinds[0])] * 2,
    )
)  # With a comparator: quiver.sql.lowering.folding.


def _nested(kinds: Types) -> Sequence[t.DataType | None]:
    (kind,) = kinds
    if not isinstance(kind, t.ArrayType) or not isinstance(kind.elementType, t.ArrayType):
        raise mismatch("flatten", 1, '"ARRAY" of "ARRAY"', kind)
    return [None]


register(Function("flatten", python(lists.flatten, result("e0")), result("e0"), _nested, arity=(1, 1)))
define("get", "ai", "e0", python(lists.get, result("e0")), nullable=True)


def _reverse(args: Sequence[str], kinds: Types) -> str:
    if isinstance(kinds[0], t.BinaryType):
        return python(lists.backwards, lambda kinds: kinds[0])(args, kinds)
    return f"array_reverse({args[0]})" if isinstance(kinds[0], t.ArrayType) else f"reverse({args[0]})"


register(
    Function(
        "reverse",
        _reverse,
        lambda kinds: kinds[0],
        lambda kinds: [None if isinstance(kinds[0], t.ArrayType | t.BinaryType) else t.StringType()],
        arity=(1, 1),
    )
)


def _size(args: Sequence[str], kinds: Types) -> str:
    return f"CAST({'cardinality' if isinstance(kinds[0], t.MapType) else 'array_length'}({args[0]}) AS INT)"


def _sized(kinds: Types) -> Sequence[t.DataType | None]:
    if not isinstance(kinds[0], t.ArrayType | t.MapType | t.NullType):
        raise mismatch("size", 1, '("ARRAY" or "MAP")', kinds[0])
    return [t.ArrayType(t.NullType()) if isinstance(kinds[0], t.NullType) else None]


register(Function("size", _size, INT, _sized, arity=(1, 1)), "cardinality")


def _sequence_type(kinds: Types) -> t.DataType:
    return t.ArrayType(kinds[0], False)


_TIMES = (t.DateType, t.TimestampNTZType, t.TimestampType)
_STEPS = (t.AnsiIntervalType, t.CalendarIntervalType, t.NullType)


def _sequence_kinds(kinds: Types) -> Sequence[t.DataType | None]:
    ends, steps = kinds[:2], kinds[2:]
    if all(isinstance(kind, t.IntegralType | t.NullType) for kind in kinds):
        return [expect_common("sequence", kinds)] * len(kinds)
    if all(isinstance(kind, (*_TIMES, t.NullType)) for kind in ends) and all(isinstance(kind, _STEPS) for kind in steps):
        return [expect_common("sequence", ends)] * 2 + [None] * len(steps)
    raise AnalysisException(
        'Cannot resolve "sequence" due to data type mismatch: `sequence` uses the wrong parameter type. The start and stop must both be '
        "integers, dates or times, and the step an integer, or an interval.",
        "DATATYPE_MISMATCH.SEQUENCE_WRONG_INPUT_TYPES",
    )


def _sequence(args: Sequence[str], kinds: Types) -> str:
    *given, zone = args
    gives = t.ArrayType(kinds[0], False)
    match kinds[0]:
        case t.TimestampType() | t.TimestampNTZType():
            return python(sequences.times, lambda _: gives)([zone, *given], [kinds[-1], *kinds[:-1]])
        case t.DateType():
            return python(sequences.dates, lambda _: gives)(given, kinds[:-1])
        case _:
            return python(sequences.numbers, lambda _: gives)(given, kinds[:-1])


register(Function("sequence", _sequence, _sequence_type, _sequence_kinds, arity=(2, 3), zoned=True))


def _zip_type(kinds: Types) -> t.DataType:
    if kinds and isinstance(kinds[-1], t.StructType):  # The analyser has told the names.
        members = [t.StructField(field.name, element_type(kind)) for field, kind in zip(kinds[-1].fields, kinds, strict=False)]
        return t.ArrayType(t.StructType(members), False)
    return t.ArrayType(t.StructType([t.StructField(str(at), element_type(kind)) for at, kind in enumerate(kinds)]), False)


def _zip(args: Sequence[str], kinds: Types) -> str:
    given = [number for number, kind in enumerate(kinds) if not isinstance(kind, t.StructType)]
    kind = _zip_type(kinds)
    return python(lists.arrays_zip, lambda kinds: kind)([args[at] for at in given], [kinds[at] for at in given])


def _zip_kinds(kinds: Types) -> Sequence[t.DataType | None]:
    for number, kind in enumerate(kinds, 1):
        if not isinstance(kind, t.ArrayType | t.NullType) and not (number == len(kinds) and isinstance(kind, t.StructType)):
            raise mismatch("arrays_zip", number, "an array", kind)
    return [t.ArrayType(t.NullType()) if isinstance(kind, t.NullType) else None for kind in kinds]


register(Function("arrays_zip", _zip, _zip_type, _zip_kinds))

# ---- maps ----


def _map_parts(kinds: Types) -> tuple[t.DataType, t.DataType]:
    kind = kinds[0]
    assert isinstance(kind, t.MapType)
    return kind.keyType, kind.valueType


def _create_kinds(kinds: Types) -> Sequence[t.DataType | None]:
    if len(kinds) % 2:
        raise AnalysisException(
            "The `map` requires 2n (n > 0) parameters but the actual number is odd.", "WRONG_NUM_ARGS.WITHOUT_SUGGESTION"
        )
    if not kinds:
        return []
    if all(isinstance(kind, t.NullType) for kind in kinds[::2]):
        raise SparkRuntimeException("Cannot use null as map key.", "NULL_MAP_KEY")
    key, value = expect_common("map", kinds[::2]), expect_common("map", kinds[1::2])
    return [key, value] * (len(kinds) // 2)


def _create_type(kinds: Types) -> t.DataType:
    return t.MapType(kinds[0], kinds[1]) if kinds else t.MapType(t.StringType(), t.StringType())


def _create(args: Sequence[str], kinds: Types) -> str:
    if not args:  # The kernel calls no function of nothing with how many rows there are.
        return cast("map(make_array(), make_array())", _create_type(()))
    return python(lists.create_map, _create_type, nulls=True)(args, kinds)


register(Function("map", _create, _create_type, _create_kinds, nullable=False), "create_map")
define("map_keys", "m", lambda kinds: t.ArrayType(_map_parts(kinds)[0], False), "map_keys")
define("map_values", "m", lambda kinds: t.ArrayType(_map_parts(kinds)[1], True), "map_values")


def _entries_type(kinds: Types) -> t.DataType:
    key, value = _map_parts(kinds)
    return t.ArrayType(t.StructType([t.StructField("key", key, False), t.StructField("value", value)]), False)


define("map_entries", "m", _entries_type, python(lists.map_entries, _entries_type))


def _from_arrays(kinds: Types) -> t.DataType:
    return t.MapType(element_type(kinds[0]), element_type(kinds[1]))


define("map_from_arrays", "aa", _from_arrays, python(lists.map_from_arrays, _from_arrays))


def _from_entries(kinds: Types) -> t.DataType:
    kind = element_type(kinds[0])
    assert isinstance(kind, t.StructType)
    return t.MapType(kind.fields[0].dataType, kind.fields[1].dataType)


define("map_from_entries", "a", _from_entries, python(lists.map_from_entries, _from_entries))


def _map_concat_kinds(kinds: Types) -> Sequence[t.DataType | None]:
    return [expect_common("map_concat", kinds)] * len(kinds) if kinds else []


register(
    Function(
        "map_concat",
        lambda args, kinds: python(lists.map_concat, lambda kinds: kinds[0])(args, kinds) if args else _create((), ()),
        lambda kinds: kinds[0] if kinds else _create_type(()),
        _map_concat_kinds,
    )
)


def _contains_key_kinds(kinds: Types) -> Sequence[t.DataType | None]:
    if not isinstance(kinds[0], t.MapType):
        raise mismatch("map_contains_key", 1, "a map", kinds[0])
    return [None, _map_parts(kinds)[0]]


register(Function("map_contains_key", python(lists.map_contains_key, B), B, _contains_key_kinds, arity=(2, 2)))


def _at_kinds(kinds: Types) -> Sequence[t.DataType | None]:
    if isinstance(kinds[0], t.MapType):
        return [None, kinds[0].keyType]
    if isinstance(kinds[0], t.ArrayType):
        return [None, t.IntegerType()]
    raise mismatch("element_at", 1, '"ARRAY" or "MAP"', kinds[0])


def _at_type(kinds: Types) -> t.DataType:
    return _map_parts(kinds)[1] if isinstance(kinds[0], t.MapType) else element_type(kinds[0])


def _at(name: str) -> None:
    in_map, in_array = python(lists.map_at, _at_type), python(getattr(lists, name), _at_type)

    def lower(args: Sequence[str], kinds: Types) -> str:
        return (in_map if isinstance(kinds[0], t.MapType) else in_array)(args, kinds)

    register(Function(name, lower, _at_type, _at_kinds, nullable=True, arity=(2, 2)))


_at("element_at")
_at("try_element_at")
