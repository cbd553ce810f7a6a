"""Functions of variants (quiver_proto.variants). `variant_get` is given its type as the type of a null (quiver.sql.analysis.variants)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from quiver.sql import types as t
from quiver.sql.errors import AnalysisException
from quiver.sql.lowering.names import constant_text
from quiver.sql.registry.define import mismatch, result
from quiver.sql.registry.model import AFTER, Coerce, Function, Types, register
from quiver.sql.registry.python import python
from quiver_proto.variants import calls

V = t.VariantType()
ENTRIES = t.StructType(
    [t.StructField("pos", t.IntegerType(), False), t.StructField("key", t.StringType()), t.StructField("value", V, False)]
)
_SQL = {"v": '"VARIANT"', "s": '"STRING"', "b": '"BOOLEAN"'}


def _takes(name: str, letters: str) -> Coerce:
    """`v` a variant, `s` text, `b` a flag, `w` what can be cast to a variant; the last letter serves for more."""
    kinds_of = {"v": V, "s": t.StringType(), "b": t.BooleanType()}

    def one(number: int, letter: str, kind: t.DataType) -> t.DataType:
        if letter == "w":
            return _as_variant(name, kind)
        wanted = kinds_of[letter]
        if not isinstance(kind, type(wanted) | t.NullType):
            raise mismatch(name, number, _SQL[letter], kind)
        return wanted

    def coerce(kinds: Types) -> Sequence[t.DataType | None]:
        spelled = letters + letters[-1] * (len(kinds) - len(letters))
        return [one(number, letter, kind) for number, (letter, kind) in enumerate(zip(spelled, kinds, strict=False), 1)]

    return coerce


def _as_variant(name: str, kind: t.DataType) -> t.DataType:
    from quiver.sql.analysis.castable import castable

    if not castable(kind, V):
        raise AnalysisException(
            f'Cannot resolve "{name}" due to data type mismatch: cannot cast "{kind.simpleString().upper()}" to "VARIANT".',
            "DATATYPE_MISMATCH.CAST_WITHOUT_SUGGESTION",
        )
    return V


def _add(
    name: str, letters: str, gives: t.DataType, body: Any, least: int = 0, most: int | None = 0, *, nullable: bool | None = None
) -> None:
    lower = python(body, lambda kinds: gives, nulls=nullable is False)
    arity = (least or len(letters), len(letters) if most == 0 else most)
    register(Function(name, lower, lambda kinds: gives, _takes(name, letters), nullable=nullable, arity=arity))


_add("parse_json", "s", V, calls.parse_json)
_add("try_parse_json", "s", V, calls.try_parse_json, nullable=True)
_add("is_variant_null", "v", t.BooleanType(), calls.is_variant_null, nullable=False)
_add("is_valid_variant", "v", t.BooleanType(), calls.is_valid_variant)
_add("schema_of_variant", "v", t.StringType(), calls.schema_of_variant)
_add("variant_delete", "vs", V, calls.variant_delete, 2, None)
_add("variant_insert", "vsw", V, calls.variant_insert)
_add("try_variant_insert", "vsw", V, calls.try_variant_insert, nullable=True)
_add("variant_array_append", "vsw", V, calls.variant_array_append)
_add("try_variant_array_append", "vsw", V, calls.try_variant_array_append, nullable=True)
# The analyser gives those that may be left out.
_add("variant_set", "vswb", V, calls.variant_set)
_add("try_variant_set", "vswb", V, calls.try_variant_set, nullable=True)
_add("variant_strip_nulls", "vb", V, calls.variant_strip_nulls)


def _get(name: str) -> None:
    def lower(args: Sequence[str], kinds: Types) -> str:
        kind = kinds[2]
        body = calls.cast_to(kind.json(), constant_text(args[-1]) or "", name.startswith("try_"))
        return python(body, lambda kinds: kind)(args[:2], kinds[:2])

    def coerce(kinds: Types) -> Sequence[t.DataType | None]:
        return [*_takes(name, "vs")(kinds[:2]), None]

    register(Function(name, lower, lambda kinds: kinds[2], coerce, nullable=True, arity=(3, 3), zoned=True))


register(Function("variant path", lambda args, kinds: "", lambda kinds: V, nullable=True, arity=(3, 3)))
"""`v:a.b`, of which the analyser makes a variant_get."""
_get("variant_get")
_get("try_variant_get")


def _explode_items(args: Sequence[str], kinds: Types) -> str:
    return python(calls.variant_explode, lambda kinds: t.ArrayType(ENTRIES))(args, kinds)


for _name in ("variant_explode", "variant_explode_outer"):
    register(Function(_name, _explode_items, lambda kinds: ENTRIES, _takes(_name, "v"), kind="generator", arity=(1, 1)))


def _schema_of_all(args: Sequence[str], kinds: Types) -> str:
    listed = f"array_agg({args[0]}){AFTER}"
    return python(calls.schema_of_variant_agg, result("s"), nulls=True)([listed], [t.ArrayType(V)])


register(
    Function(
        "schema_of_variant_agg", _schema_of_all, result("s"), _takes("schema_of_variant_agg", "v"), "aggregate", False, (1, 1)
    )
)  # fmt: skip


def _object(args: Sequence[str], kinds: Types) -> str:
    return python(calls.made_of(kinds[0].json()), lambda kinds: V)(args, kinds)


def _object_kinds(kinds: Types) -> Sequence[t.DataType | None]:
    (kind,) = kinds
    if not isinstance(kind, t.StructType | t.ArrayType | t.MapType) or not _fits_object(kind):
        raise AnalysisException(
            f'Cannot resolve "to_variant_object" due to data type mismatch: cannot cast "{kind.simpleString().upper()}" to "VARIANT".',
            "DATATYPE_MISMATCH.CAST_WITHOUT_SUGGESTION",
        )
    return [None]


def _fits_object(kind: t.DataType) -> bool:
    from quiver.sql.analysis.castable import castable

    match kind:
        case t.StructType():
            return all(_fits_object(field.dataType) for field in kind)
        case t.ArrayType():
            return _fits_object(kind.elementType)
        case t.MapType():
            return isinstance(kind.keyType, t.StringType) and _fits_object(kind.valueType)
        case _:
            return castable(kind, V)


register(Function("to_variant_object", _object, lambda kinds: V, _object_kinds, arity=(1, 1)))
