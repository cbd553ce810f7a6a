"""Bitmaps, encryption, vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from quiver.sql import types as t
from quiver.sql.registry.define import define, mismatch, result
from quiver.sql.registry.model import AFTER, Coerce, Function, Types, register
from quiver.sql.registry.python import python
from quiver_proto.spark_functions import bitmaps, encryption, vectors

X, L = result("x"), result("l")

define("bitmap_bit_position", "l", "l", f"(CASE WHEN {{0}} > 0 THEN {{0}} - 1 ELSE - {{0}} END % {bitmaps.BITS})")
define(
    "bitmap_bucket_number",
    "l",
    "l",
    f"CASE WHEN {{0}} > 0 THEN 1 + ({{0}} - 1) / {bitmaps.BITS} ELSE {{0}} / {bitmaps.BITS} END",
)


def _binary(name: str) -> Coerce:
    def coerce(kinds: Types) -> Sequence[t.DataType | None]:
        if not isinstance(kinds[0], t.BinaryType | t.NullType):
            raise mismatch(name, 1, 'the "BINARY" type', kinds[0])
        return [t.BinaryType()]

    return coerce


register(Function("bitmap_count", python(bitmaps.count, L), L, _binary("bitmap_count"), arity=(1, 1)))


def _positions(args: Sequence[str], kinds: Types) -> str:
    # At most as many as a bitmap has bits, however large the group is.
    listed = f"array_agg(DISTINCT {args[0]}){AFTER}"
    return python(bitmaps.construct, X, nulls=True)([listed], [t.ArrayType(t.LongType())])


def _folded(function: Callable[..., bytes]) -> Callable[[Sequence[str], Types], str]:
    def lower(args: Sequence[str], kinds: Types) -> str:
        return python(function, X, nulls=True)([f"array_agg({args[0]}){AFTER}"], [t.ArrayType(t.BinaryType())])

    return lower


define("bitmap_construct_agg", "l", "x", _positions, kind="aggregate", nullable=False)
for _name, _function in (("bitmap_or_agg", bitmaps.union), ("bitmap_and_agg", bitmaps.intersection)):
    register(Function(_name, _folded(_function), X, _binary(_name), "aggregate", False, (1, 1)))

# ---- encryption ----

define("aes_encrypt", "xx?ssxx", "x", python(encryption.aes_encrypt, X, volatile=True))
define("aes_decrypt", "xx?ssx", "x", python(encryption.aes_decrypt, X))
define("try_aes_decrypt", "xx?ssx", "x", python(encryption.try_aes_decrypt, X), nullable=True)
define("hmac", "xx?s", "x", python(encryption.hmac, X))

# ---- vectors ----

_VECTOR = t.ArrayType(t.FloatType())


def _vectors(name: str, most: int) -> Coerce:
    """Arrays of floats only, as Spark wants them; `most`: how many come first."""

    def coerce(kinds: Types) -> Sequence[t.DataType | None]:
        for number, kind in enumerate(kinds[:most], 1):
            if not (isinstance(kind, t.ArrayType) and isinstance(kind.elementType, t.FloatType)) and not isinstance(kind, t.NullType):
                raise mismatch(name, number, 'the "ARRAY<FLOAT>" type', kind)
        return [_VECTOR if isinstance(kind, t.NullType) else None for kind in kinds[:most]] + [t.FloatType()] * (len(kinds) - most)

    return coerce


def _float(kinds: Types) -> t.DataType:
    return t.FloatType()


def _vector(kinds: Types) -> t.DataType:
    return _VECTOR


for _name in ("inner_product", "l2_distance", "cosine_similarity"):
    _own = f"vector_{_name}"
    register(Function(_own, python(getattr(vectors, _name), _float), _float, _vectors(_own, 2), nullable=True, arity=(2, 2)))
register(Function("vector_norm", python(vectors.norm, _float), _float, _vectors("vector_norm", 1), nullable=True, arity=(1, 2)))
register(
    Function("vector_normalize", python(vectors.normalize, _vector), _vector, _vectors("vector_normalize", 1), nullable=True, arity=(1, 2))
)
for _name, _combined in (("vector_sum", vectors.total), ("vector_avg", vectors.mean)):

    def _gathered(args: Sequence[str], kinds: Types, combined: Callable[..., object] = _combined) -> str:
        return python(combined, _vector, nulls=True)([f"array_agg({args[0]}){AFTER}"], [t.ArrayType(_VECTOR)])

    register(Function(_name, _gathered, _vector, _vectors(_name, 1), "aggregate", True, (1, 1)))
