"""Reaching into arrays and maps. (Structs are the analyser's: quiver.sql.analysis.access.)"""

from __future__ import annotations

from collections.abc import Sequence

from quiver.sql import types as t
from quiver.sql.lowering.names import cast
from quiver.sql.registry.model import Function, Types, register, template
from quiver.sql.registry.python import python
from quiver_proto.spark_functions import lists


def _item_type(kinds: Types) -> t.DataType:
    kind = kinds[0]
    return kind.elementType if isinstance(kind, t.ArrayType) else kind.valueType if isinstance(kind, t.MapType) else t.NullType()


def _item(args: Sequence[str], kinds: Types) -> str:
    value, key = args
    if isinstance(kinds[0], t.MapType):
        return f"(map_extract({value}, {key})[1])"
    outside = f"({key} < 0 OR {key} >= CAST(array_length({value}) AS BIGINT))"
    kind = _item_type(kinds)
    refused = python(lists.item_at, lambda kinds: kind)(args, kinds)
    return f"(CASE WHEN {outside} THEN {refused} ELSE ({value})[CAST({key} AS BIGINT) + 1] END)"


def _bits(kinds: Types) -> Sequence[t.DataType | None]:
    from quiver.sql.analysis.coercion import expect_common

    return [expect_common("bitwise", kinds)] * len(kinds)


register(Function("getitem", _item, _item_type, nullable=True, arity=(2, 2)))
for _name, _text in (("&", "({0} & {1})"), ("|", "({0} | {1})"), ("^", "(({0} | {1}) - ({0} & {1}))")):
    register(Function(_name, template(_text), lambda kinds: kinds[0], _bits, arity=(2, 2)))


def _array(args: Sequence[str], kinds: Types) -> str:
    return f"make_array({', '.join(args)})" if args else cast("make_array()", t.ArrayType(t.NullType()))


def _items(kinds: Types) -> Sequence[t.DataType | None]:
    from quiver.sql.analysis.coercion import expect_common

    return [expect_common("array", kinds)] * len(kinds)


register(Function("array", _array, lambda kinds: t.ArrayType(kinds[0] if kinds else t.NullType()), _items, nullable=False))


def _struct(kinds: Types) -> t.DataType:
    raise AssertionError("the analyser makes a StructOf of it")


for _name, _least in (("getfield", 2), ("struct", 1), ("named_struct", 2), ("withfield", 3), ("dropfields", 2)):
    register(Function(_name, template(""), _struct, arity=(_least, None)))
