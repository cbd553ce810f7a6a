"""Random numbers, and functions that tell a row's partition or its place in it."""

from __future__ import annotations

from collections.abc import Sequence

from quiver.sql import types as t
from quiver.sql.analysis.coercion import expect_common
from quiver.sql.lowering.names import cast
from quiver.sql.registry.define import define
from quiver.sql.registry.model import Types
from quiver.sql.registry.python import of_partition, python
from quiver_proto.spark_functions import lists, texts

_L = t.LongType()
_ids = of_partition("ids", _L)
_partition = of_partition("partition", t.IntegerType())
seeded = of_partition("uniform", t.DoubleType(), (_L,))
"""Numbers from 0 to 1, given the text of a seed."""
_normal = of_partition("normal", t.DoubleType(), (_L,))
_PLACES = t.ArrayType(t.IntegerType())
_places = of_partition("places", _PLACES, (_L, t.IntegerType()))
_texts = of_partition("texts", t.StringType(), (_L, t.IntegerType()))

define("monotonically_increasing_id", "", "l", lambda args, kinds: _ids(args), nullable=False)
define("spark_partition_id", "", "i", lambda args, kinds: _partition(args), nullable=False)
define("rand", "?l", "d", lambda args, kinds: seeded(args) if args else "random()", "random", nullable=False)
define("varying", "", "d", "random()", nullable=False)  # Whatever the kernel takes for no constant.


def _first(kinds: Types) -> t.DataType:
    return kinds[0]


def _text(kinds: Types) -> t.DataType:
    return t.StringType()


def _randn(args: Sequence[str], kinds: Types) -> str:
    return _normal(args) if args else "(sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()))"


define("randn", "?l", "d", _randn, nullable=False)


def _common(kinds: Types) -> t.DataType:
    return expect_common("uniform", kinds[:2])


def _uniform(args: Sequence[str], kinds: Types) -> str:
    kind = _common(kinds)
    least, most = (cast(value, t.DoubleType()) for value in args[:2])
    number = f"({least} + ({most} - {least}) * {seeded(args[2:]) if len(args) > 2 else 'random()'})"
    return cast(f"trunc({number})" if isinstance(kind, t.IntegralType) else number, kind)


define("uniform", "nn?l", _common, _uniform)


def _randstr(args: Sequence[str], kinds: Types) -> str:
    return _texts([args[1], args[0]]) if len(args) > 1 else python(texts.randstr, _text, volatile=True)(args, kinds)


define("randstr", "i?l", "s", _randstr)


def _shuffle(args: Sequence[str], kinds: Types) -> str:
    if len(args) < 2:
        return python(lists.shuffle, _first, volatile=True)(args, kinds)
    places = _places([args[1], cast(f"array_length({args[0]})", t.IntegerType())])
    return python(lists.reordered, _first)([args[0], places], [kinds[0], _PLACES])


define("shuffle", "a?l", "0", _shuffle)
