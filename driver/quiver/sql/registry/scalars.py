"""Scalar functions."""

from __future__ import annotations

from collections.abc import Sequence

from quiver.sql import types as t
from quiver.sql.analysis.coercion import expect_common
from quiver.sql.registry.model import Function, Types, call, register, template


def _text(kinds: Types) -> t.DataType:
    return t.StringType()


def _texts(kinds: Types) -> Sequence[t.DataType | None]:
    return [t.StringType()] * len(kinds)


def _integer(kinds: Types) -> t.DataType:
    return t.IntegerType()


for _name in ("upper", "lower"):
    register(Function(_name, call(_name), _text, _texts, arity=(1, 1)), *{"upper": ("ucase",), "lower": ("lcase",)}[_name])
register(Function("length", call("character_length"), _integer, _texts, arity=(1, 1)), "char_length", "len")
register(Function("concat", template("concat({all})"), _text, _texts))
register(
    Function("substring", call("substr"), _text, lambda kinds: [t.StringType(), *[t.LongType()] * (len(kinds) - 1)], arity=(2, 3)), "substr"
)
register(Function("trim", call("btrim"), _text, _texts, arity=(1, 1)))
register(
    Function(
        "coalesce", call("coalesce"), lambda kinds: kinds[0], lambda kinds: [expect_common("coalesce", kinds)] * len(kinds), arity=(1, None)
    )
)
register(Function("abs", call("abs"), lambda kinds: kinds[0], arity=(1, 1)))
register(Function("year", template("CAST(date_part('year', {0}) AS INT)"), _integer, lambda kinds: [t.DateType()], arity=(1, 1)))
for _name, _kernel in (("startswith", "starts_with"), ("endswith", "ends_with"), ("contains", "contains")):
    register(Function(_name, call(_kernel), lambda kinds: t.BooleanType(), _texts, arity=(2, 2)))
register(
    Function(
        "isnan",
        template("coalesce(isnan({0}), FALSE)"),
        lambda kinds: t.BooleanType(),
        lambda kinds: [kind if isinstance(kind, t.DoubleType | t.FloatType) else t.DoubleType() for kind in kinds],
        nullable=False,
        arity=(1, 1),
    )
)
register(Function("power", call("power"), lambda kinds: t.DoubleType(), lambda kinds: [t.DoubleType()] * len(kinds), arity=(2, 2)), "pow")
