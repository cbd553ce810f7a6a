"""Functions that take functions: `transform(xs, x -> x + 1)`. Each tells what its lambdas' parameters are."""

from __future__ import annotations

from collections.abc import Sequence

from quiver.sql import types as t
from quiver.sql.registry.define import element_type, mismatch, result
from quiver.sql.registry.model import Function, Parameters, Types, register, template
from quiver.sql.registry.python import python
from quiver_proto.spark_functions import lists


def _elements(name: str, indexed: bool) -> Parameters:
    def parameters(kinds: Types, count: int) -> Sequence[t.DataType]:
        if not isinstance(kinds[0], t.ArrayType | t.NullType):
            raise mismatch(name, 1, "an array", kinds[0])
        return [element_type(kinds[0]), t.IntegerType()][:count] if indexed else [element_type(kinds[0])]

    return parameters


def _body(text: str) -> tuple[list[str], str]:
    """(the parameters as they are written, the body) of a lowered lambda."""
    head, _, body = text.partition(" -> ")
    return [name.strip() for name in head.strip("()").split(",")], body


def _put(body: str, name: str, value: str) -> str:
    return body.replace(name, value)


def _transform(args: Sequence[str], kinds: Types) -> str:
    parameters, body = _body(args[1])
    if len(parameters) == 1:
        return f"array_transform({args[0]}, {args[1]})"
    # With positions: over pairs of an element and its number.
    both, positions = f'"both_{parameters[0][1:]}', f"range(0, CAST(array_length({args[0]}) AS BIGINT))"
    inner = _put(_put(body, parameters[0], f"get_field({both}, '1')"), parameters[1], f"arrow_cast(get_field({both}, '2'), 'Int32')")
    return f"array_transform(arrays_zip({args[0]}, {positions}), ({both}) -> {inner})"


def _filter(args: Sequence[str], kinds: Types) -> str:
    parameters, body = _body(args[1])
    if len(parameters) == 1:
        return f"array_filter({args[0]}, {args[1]})"
    both, positions = f'"both_{parameters[0][1:]}', f"range(0, CAST(array_length({args[0]}) AS BIGINT))"
    inner = _put(_put(body, parameters[0], f"get_field({both}, '1')"), parameters[1], f"arrow_cast(get_field({both}, '2'), 'Int32')")
    kept = f"array_filter(arrays_zip({args[0]}, {positions}), ({both}) -> {inner})"
    return f"array_transform({kept}, ({both}) -> get_field({both}, '1'))"


def _any(array: str, parameter: str, body: str) -> str:
    # True where one holds; null where none does and one is null.
    truths = f"array_transform({array}, ({parameter}) -> {body})"
    found = f"array_any_match({array}, ({parameter}) -> coalesce({body}, FALSE))"
    unsure = f"array_any_match({truths}, ({parameter}) -> {parameter} IS NULL)"
    return f"CASE WHEN {found} THEN TRUE WHEN {unsure} THEN NULL WHEN {array} IS NOT NULL THEN FALSE END"


def _exists(args: Sequence[str], kinds: Types) -> str:
    (parameter,), body = _body(args[1])
    return _any(args[0], parameter, body)


def _forall(args: Sequence[str], kinds: Types) -> str:
    (parameter,), body = _body(args[1])
    return f"(NOT ({_any(args[0], parameter, f'(NOT {body})')}))"


def _array_of_body(kinds: Types) -> t.DataType:
    return t.ArrayType(kinds[-1], True)


register(Function("transform", _transform, _array_of_body, arity=(2, 2), parameters=_elements("transform", True)))
register(Function("filter", _filter, result("0"), arity=(2, 2), parameters=_elements("filter", True)))
register(Function("exists", _exists, result("b"), arity=(2, 2), parameters=_elements("exists", False)), "any_match")
register(Function("forall", _forall, result("b"), arity=(2, 2), parameters=_elements("forall", False)), "all_match")


def _pairwise(kinds: Types, count: int) -> Sequence[t.DataType]:
    return [element_type(kinds[0]), element_type(kinds[1])]


def _zip_with(args: Sequence[str], kinds: Types) -> str:
    (left, right), body = _body(args[2])
    both = f'"both_{left[1:]}'
    inner = _put(_put(body, left, f"get_field({both}, '1')"), right, f"get_field({both}, '2')")
    pairs = f"array_transform(arrays_zip({args[0]}, {args[1]}), ({both}) -> {inner})"
    return f"(CASE WHEN {args[0]} IS NOT NULL AND {args[1]} IS NOT NULL THEN {pairs} END)"


register(Function("zip_with", _zip_with, _array_of_body, arity=(3, 3), parameters=_pairwise))


def _key_and_value(kinds: Types, count: int) -> Sequence[t.DataType]:
    kind = kinds[0]
    if not isinstance(kind, t.MapType):
        raise mismatch("a function of maps", 1, "a map", kind)
    return [kind.keyType, kind.valueType]


def _over_entries(args: Sequence[str]) -> tuple[str, str]:
    """(a parameter that stands for an entry, the body in terms of it)."""
    (key, value), body = _body(args[1])
    entry = f'"entry_{key[1:]}'
    return entry, _put(_put(body, key, f"get_field({entry}, 'key')"), value, f"get_field({entry}, 'value')")


def _map_filter(args: Sequence[str], kinds: Types) -> str:
    entry, body = _over_entries(args)
    return f"map_from_entries(array_filter(map_entries({args[0]}), ({entry}) -> {body}))"


def _transform_values(args: Sequence[str], kinds: Types) -> str:
    entry, body = _over_entries(args)
    return f"map_from_arrays(map_keys({args[0]}), array_transform(map_entries({args[0]}), ({entry}) -> {body}))"


def _transform_keys(args: Sequence[str], kinds: Types) -> str:
    entry, body = _over_entries(args)
    return f"map_from_arrays(array_transform(map_entries({args[0]}), ({entry}) -> {body}), map_values({args[0]}))"


def _new_values(kinds: Types) -> t.DataType:
    kind = kinds[0]
    assert isinstance(kind, t.MapType)
    return t.MapType(kind.keyType, kinds[1])


def _new_keys(kinds: Types) -> t.DataType:
    kind = kinds[0]
    assert isinstance(kind, t.MapType)
    return t.MapType(kinds[1], kind.valueType)


register(Function("map_filter", _map_filter, result("0"), arity=(2, 2), parameters=_key_and_value))
register(Function("transform_values", _transform_values, _new_values, arity=(2, 2), parameters=_key_and_value))
register(Function("transform_keys", _transform_keys, _new_keys, arity=(2, 2), parameters=_key_and_value))


def _map_zip_with(args: Sequence[str], kinds: Types) -> str:
    parameters, body = _body(args[2])
    key, left, right = parameters
    entry = f'"entry_{key[1:]}'
    inner = _put(_put(_put(body, left, f"get_field({entry}, 'a')"), right, f"get_field({entry}, 'b')"), key, f"get_field({entry}, 'key')")
    pairs = python(lists.paired_entries, lambda kinds: _paired(kinds))(args[:2], kinds[:2])
    keys = f"array_transform({pairs}, ({entry}) -> get_field({entry}, 'key'))"
    return f"map_from_arrays({keys}, array_transform({pairs}, ({entry}) -> {inner}))"


def _paired(kinds: Types) -> t.DataType:
    a, b = kinds[:2]
    assert isinstance(a, t.MapType)
    assert isinstance(b, t.MapType)
    members = [t.StructField("key", a.keyType), t.StructField("a", a.valueType), t.StructField("b", b.valueType)]
    return t.ArrayType(t.StructType(members), False)


def _zipped(kinds: Types, count: int) -> Sequence[t.DataType]:
    a, b = kinds[:2]
    for number, kind in enumerate((a, b), 1):
        if not isinstance(kind, t.MapType):
            raise mismatch("map_zip_with", number, "a map", kind)
    assert isinstance(a, t.MapType)
    assert isinstance(b, t.MapType)
    return [a.keyType, a.valueType, b.valueType]


def _zipped_type(kinds: Types) -> t.DataType:
    kind = kinds[0]
    assert isinstance(kind, t.MapType)
    return t.MapType(kind.keyType, kinds[2])


register(Function("map_zip_with", _map_zip_with, _zipped_type, arity=(3, 3), parameters=_zipped))


def _merging(kinds: Types, count: int) -> Sequence[t.DataType]:
    if not isinstance(kinds[0], t.ArrayType | t.NullType):
        raise mismatch("aggregate", 1, "an array", kinds[0])
    return [kinds[1]] if count == 1 else [kinds[1], element_type(kinds[0])]


def _merged(kinds: Types) -> Sequence[t.DataType | None]:
    if kinds[1].simpleString() != kinds[2].simpleString():
        raise mismatch("aggregate", 3, f'"{kinds[1].simpleString().upper()}"', kinds[2])
    return [None] * len(kinds)


register(Function("aggregate", template(""), lambda kinds: kinds[-1], _merged, nullable=True, arity=(3, 4), parameters=_merging), "reduce")
"""Lowered by quiver.sql.lowering.folding."""
