"""Aggregates and window functions."""

from __future__ import annotations

from collections.abc import Sequence

from quiver.sql import types as t
from quiver.sql.analysis.coercion import bounded
from quiver.sql.errors import AnalysisException
from quiver.sql.registry.model import Function, Types, call, register


def _summable(kinds: Types) -> Sequence[t.DataType | None]:
    (kind,) = kinds
    if isinstance(kind, t.IntegralType):
        return [t.LongType()]
    if isinstance(kind, t.DecimalType):
        return [None]
    if isinstance(kind, t.NumericType | t.StringType | t.NullType):
        return [t.DoubleType()]
    raise AnalysisException(
        f'an aggregate of numbers can\'t take "{kind.simpleString().upper()}".', "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE"
    )


def _sum_type(kinds: Types) -> t.DataType:
    (kind,) = kinds
    return bounded(kind.precision + 10, kind.scale) if isinstance(kind, t.DecimalType) else kind


def _mean_type(kinds: Types) -> t.DataType:
    (kind,) = kinds
    return bounded(kind.precision + 4, kind.scale + 4) if isinstance(kind, t.DecimalType) else t.DoubleType()


def _doubles(kinds: Types) -> Sequence[t.DataType | None]:
    return [t.DoubleType()] * len(kinds)


def _mean_input(kinds: Types) -> Sequence[t.DataType | None]:
    (wanted,) = _summable(kinds)
    return [None] if isinstance(kinds[0], t.DecimalType) else [t.DoubleType() if wanted else None]


def _first(kinds: Types) -> t.DataType:
    return kinds[0]


def _double(kinds: Types) -> t.DataType:
    return t.DoubleType()


def _long(kinds: Types) -> t.DataType:
    return t.LongType()


register(Function("count", lambda args, kinds: f"count({', '.join(args) or '*'})", _long, kind="aggregate", nullable=False))
register(Function("sum", call("sum"), _sum_type, _summable, "aggregate", True, (1, 1)))
register(Function("avg", call("avg"), _mean_type, _mean_input, "aggregate", True, (1, 1)), "mean")
register(Function("min", call("min"), _first, None, "aggregate", True, (1, 1)))
register(Function("max", call("max"), _first, None, "aggregate", True, (1, 1)))
for _name, _kernel, *_aliases in (
    ("stddev", "stddev_samp", "stddev_samp", "std"),
    ("stddev_pop", "stddev_pop"),
    ("variance", "var_samp", "var_samp"),
    ("var_pop", "var_pop"),
):
    register(Function(_name, call(_kernel), _double, _doubles, "aggregate", True, (1, 1)), *_aliases)
for _name in ("corr", "covar_samp", "covar_pop"):
    register(Function(_name, call(_name), _double, lambda kinds: [t.DoubleType()] * len(kinds), "aggregate", True, (2, 2)))
register(Function("first", call("first_value"), _first, None, "aggregate", True, (1, 1)), "first_value", "any_value")
register(Function("last", call("last_value"), _first, None, "aggregate", True, (1, 1)), "last_value")
register(
    Function("collect_list", call("array_agg"), lambda kinds: t.ArrayType(kinds[0], False), None, "aggregate", False, (1, 1)), "array_agg"
)
register(Function("approx_count_distinct", call("approx_distinct"), _long, None, "aggregate", False, (1, 2)))


def _integer(kinds: Types) -> t.DataType:
    return t.IntegerType()


for _name in ("row_number", "rank", "dense_rank"):
    register(Function(_name, lambda args, kinds, name=_name: f"{name}()", _integer, kind="window", nullable=False, arity=(0, 0)))  # type: ignore[misc]
register(Function("lag", call("lag"), _first, None, "window", True, (1, 3)))
register(Function("lead", call("lead"), _first, None, "window", True, (1, 3)))
