"""Aggregates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from quiver.sql import types as t
from quiver.sql.errors import AnalysisException
from quiver.sql.lowering.names import cast
from quiver.sql.registry.define import define, element_type, mismatch
from quiver.sql.registry.model import AFTER, DESCENDING, ORDERED, OVER, WITH_NULLS, Function, Types, call, register
from quiver.sql.registry.python import python
from quiver_proto.spark_functions import gathered


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
    return t.DecimalType(min(38, kind.precision + 10), kind.scale) if isinstance(kind, t.DecimalType) else kind


def _mean_type(kinds: Types) -> t.DataType:
    (kind,) = kinds
    return t.DecimalType(min(38, kind.precision + 4), min(38, kind.scale + 4)) if isinstance(kind, t.DecimalType) else t.DoubleType()


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


def _count(args: Sequence[str], kinds: Types) -> str:
    if len(args) == 1 and args[0].startswith("DISTINCT ") and isinstance(kinds[0], t.DoubleType | t.FloatType):
        return f"count(DISTINCT {args[0][9:]} + 0.0)"  # Which makes -0.0 0.0: beside other distinct ones the kernel tells them apart.
    if len(args) < 2:
        return f"count({', '.join(args) or '*'})"
    distinct, first = ("DISTINCT ", args[0][9:]) if args[0].startswith("DISTINCT ") else ("", args[0])
    values = [first, *args[1:]]
    present = " AND ".join(f"{value} IS NOT NULL" for value in values)
    members = ", ".join(f"'c{at}', {value}" for at, value in enumerate(values))
    return f"count({distinct}CASE WHEN {present} THEN named_struct({members}) END)"


register(Function("count", _count, _long, kind="aggregate", nullable=False))


_SUMMED: Final = 28
"""Digits of decimals whose sum is not looked at: ten more it would take as many rows as no group has."""
_AVERAGED: Final = 23
"""Dividing their sum multiplies it by 100,000 before."""


def _as(value: str, kind: str) -> str:
    """An aggregate's argument as another type of the kernel's."""
    distinct, plain = ("DISTINCT ", value[9:]) if value.startswith("DISTINCT ") else ("", value)
    return f"{distinct}arrow_cast({plain}, '{kind}')"


def _mean(lenient: bool, fits: bool = False) -> Callable[[Sequence[str], Types], str]:
    """Of decimals it is rounded, half up: the kernel cuts its quotients off, so they get one digit more than is wanted.

    `fits`: their sum is known to be small enough to be divided."""

    def lower(args: Sequence[str], kinds: Types) -> str:
        (value,), (kind,) = args, kinds
        if not isinstance(kind, t.DecimalType):
            return f"avg({value})"
        if (kind.precision > _AVERAGED and not fits) or value.startswith("DISTINCT "):
            quotient = f"avg({_as(value, f'Decimal256(72, {kind.scale + 1})')}){AFTER}"
        else:
            total = f"arrow_cast(sum({value}){AFTER}, 'Decimal128(38, {kind.scale + 1})')"
            quotient = f"({total} / arrow_cast(count({value}){AFTER}, 'Decimal128(20, 0)'))"
        return cast(quotient, _mean_type(kinds), lenient)

    return lower


def _sum(args: Sequence[str], kinds: Types) -> str:
    """The kernel's sum of bigints wraps around: then that of doubles is far from it."""
    (value,), (kind,) = args, kinds
    if isinstance(kind, t.DecimalType) and kind.precision > _SUMMED:
        # The kernel's sum of its own wraps around. Cast back, what has too many digits is an error.
        wide = f"Decimal256(76, {kind.scale})"
        return cast(f"sum({_as(value, wide)}){AFTER}", _sum_type(kinds))
    if not isinstance(kind, t.LongType):
        return f"sum({value})"
    if value.startswith("DISTINCT "):  # Of doubles, others would be distinct.
        return cast(f"sum({_as(value, 'Decimal128(28, 0)')}){AFTER}", kind)
    about = f"sum({cast(value, t.DoubleType())}){AFTER}"
    total = f"sum({value}){AFTER}"
    return f"(CASE WHEN abs({about} - {cast(total, t.DoubleType())}) > 9.2e18 THEN {cast(about, kind)} ELSE {total} END)"


register(Function("sum", _sum, _sum_type, _summable, "aggregate", True, (1, 1), unchecked=call("sum")))
register(Function("avg", _mean(False), _mean_type, _mean_input, "aggregate", True, (1, 1), unchecked=_mean(False, fits=True)), "mean")
register(Function("min", call("min"), _first, None, "aggregate", True, (1, 1)))
register(Function("max", call("max"), _first, None, "aggregate", True, (1, 1)))


def _moment(kernel: str) -> Callable[[Sequence[str], Types], str]:
    def lower(args: Sequence[str], kinds: Types) -> str:
        if not args[0].startswith("DISTINCT "):
            return f"{kernel}({args[0]})"
        # Of distinct values the kernel knows none.
        name = kernel if kernel != "stddev" else "stddev_samp"
        return gathered_by(f"{name}_of", _double)(args, kinds)

    return lower


for _name, _kernel, *_aliases in (
    ("stddev", "stddev_samp", "stddev_samp", "std"),
    ("stddev_pop", "stddev_pop"),
    ("variance", "var_samp", "var_samp"),
    ("var_pop", "var_pop"),
):
    register(Function(_name, _moment(_kernel), _double, _doubles, "aggregate", True, (1, 1)), *_aliases)
define("first", "*?b", "0", lambda args, kinds: f"first_value({args[0]})", "first_value", "any_value", kind="aggregate", nullable=True)
define("last", "*?b", "0", lambda args, kinds: f"last_value({args[0]})", "last_value", kind="aggregate", nullable=True)


def _list_type(kinds: Types) -> t.DataType:
    return t.ArrayType(kinds[0], False)


def _listed(args: Sequence[str], kinds: Types) -> str:
    (value,) = args
    if value.startswith("DISTINCT "):  # The kernel's takes no notice of it.
        return f"collect_set({value[9:]})"
    if ORDERED not in value:
        return f"collect_list({value})"
    # Nor of an order.
    kind = _list_type(kinds)
    found = f"array_agg({value}){AFTER}"
    return f"coalesce(array_filter({found}, v -> v IS NOT NULL), {cast('make_array()', kind)})"


define("collect_list", "*", _list_type, _listed, "array_agg", kind="aggregate", nullable=False)
for _direction, _suffix in (("ASC", ""), ("DESC", DESCENDING)):
    # By a sort of its own: with several orders in one query the kernel lists distinct values by another's.
    _sorted_set = f"array_sort(collect_set({{0}}){AFTER}, '{_direction}', 'NULLS LAST')"
    define(f"collect_list distinct{_suffix}", "*", _list_type, _sorted_set, kind="aggregate", nullable=False)
define("collect_set", "*", _list_type, "collect_set", kind="aggregate", nullable=False)


def _list_with_nulls(kinds: Types) -> t.DataType:
    return t.ArrayType(kinds[0], True)


def _all_listed(args: Sequence[str], kinds: Types) -> str:
    return f"coalesce(array_agg({args[0]}){AFTER}, {cast('make_array()', _list_with_nulls(kinds))})"


def _all_distinct(args: Sequence[str], kinds: Types) -> str:
    return f"array_distinct({_all_listed([args[0].removeprefix('DISTINCT ')], kinds)})"


define(f"collect_list{WITH_NULLS}", "*", _list_with_nulls, _all_listed, kind="aggregate", nullable=False)
define(f"collect_set{WITH_NULLS}", "*", _list_with_nulls, _all_distinct, kind="aggregate", nullable=False)


def _arrays(kinds: Types) -> Sequence[t.DataType | None]:
    if not isinstance(kinds[0], t.ArrayType):
        raise mismatch("collect_union", 1, 'the "ARRAY" type', kinds[0])
    return [None]


def _union(args: Sequence[str], kinds: Types) -> str:
    # Elements that are null are left out, as in collect_set.
    (kind,) = kinds
    assert isinstance(kind, t.ArrayType)
    return python(gathered.union, lambda _: kind, nulls=True)([f"array_agg({args[0]}){AFTER}"], [t.ArrayType(kind)])


register(
    Function(
        "collect_union",
        _union,
        lambda kinds: t.ArrayType(element_type(kinds[0]), False),
        _arrays,
        "aggregate",
        False,
        (1, 1),
    )
)


def _approximately(args: Sequence[str], kinds: Types) -> str:
    plain = isinstance(kinds[0], t.IntegralType | t.StringType | t.BinaryType | t.DateType | t.TimestampType | t.TimestampNTZType)
    return f"approx_distinct({args[0] if plain else cast(args[0], t.StringType())})"


define("approx_count_distinct", "*?d", "l", _approximately, kind="aggregate", nullable=False)
define("count_if", "b", "l", "sum(CASE WHEN {0} THEN 1 ELSE 0 END)", kind="aggregate", nullable=False)
define("bool_and", "b", "b", "bool_and", "every", kind="aggregate", nullable=True)
define("bool_or", "b", "b", "bool_or", "some", "any", kind="aggregate", nullable=True)
for _name in ("bit_and", "bit_or", "bit_xor"):
    define(_name, "*", "0", _name, kind="aggregate", nullable=True)
define("corr", "dd", "d", "corr", kind="aggregate", nullable=True)
define("covar_pop", "dd", "d", "covar_pop", kind="aggregate", nullable=True)
define("covar_samp", "dd", "d", "covar_samp", kind="aggregate", nullable=True)
for _name in ("avgx", "avgy", "intercept", "r2", "slope", "sxx", "sxy", "syy"):
    define(f"regr_{_name}", "dd", "d", f"regr_{_name}", kind="aggregate", nullable=True)
define("regr_count", "dd", "l", "CAST(regr_count({0}, {1}) AS BIGINT)", kind="aggregate", nullable=False)


def gathered_by(name: str, returns: Callable[[Types], t.DataType]) -> Callable[[Sequence[str], Types], str]:
    """A function of all values of a group, in Python (quiver_proto.spark_functions.gathered)."""
    function = getattr(gathered, name)

    def lower(args: Sequence[str], kinds: Types) -> str:
        listed = f"array_agg({args[0]}){AFTER}"
        kind = returns(kinds)
        return python(function, lambda kinds: kind, nulls=True)([listed, *args[1:]], [t.ArrayType(kinds[0]), *kinds[1:]])

    return lower


def _by(name: str, direction: str, several: str) -> None:
    def returns(kinds: Types) -> t.DataType:
        return t.ArrayType(kinds[0]) if len(kinds) > 2 else kinds[0]

    def lower(args: Sequence[str], kinds: Types) -> str:
        if len(args) == 2:
            return f"first_value(CASE WHEN {args[1]} IS NOT NULL THEN {args[0]} END ORDER BY {args[1]} {direction} NULLS LAST)"
        pairs = t.StructType([t.StructField("v", kinds[0]), t.StructField("o", kinds[1])])
        listed = f"array_agg(named_struct('v', {args[0]}, 'o', {args[1]})){AFTER}"
        kind = returns(kinds)
        return python(getattr(gathered, several), lambda kinds: kind, nulls=True)([listed, args[2]], [t.ArrayType(pairs), kinds[2]])

    def over(args: Sequence[str], kinds: Types) -> str:
        # The kernel knows no order of an aggregate's own over a window.
        pair = f"CASE WHEN {args[1]} IS NOT NULL THEN named_struct('o', {args[1]}, 'v', {args[0]}) END"
        return lower(args, kinds) if len(args) > 2 else f"get_field({name[:3]}({pair}){AFTER}, 'v')"

    for known, lowered in ((name, lower), (name + OVER, over)):
        register(Function(known, lowered, returns, lambda kinds: [None, None, t.IntegerType()][: len(kinds)], "aggregate", True, (2, 3)))


_by("max_by", "DESC", "largest_by")
_by("min_by", "ASC", "smallest_by")
define("product", "d", "d", gathered_by("product", _double), kind="aggregate", nullable=True)


def _bins(kinds: Types) -> t.DataType:
    return t.ArrayType(t.StructType([t.StructField("x", kinds[0]), t.StructField("y", t.DoubleType())]))


def _histogram(args: Sequence[str], kinds: Types) -> str:
    kind = _bins(kinds)
    return gathered_by("histogram", lambda kinds: kind)(args, kinds)


define("histogram_numeric", "ni", _bins, _histogram, kind="aggregate", nullable=True)
define("grouping_id", "?*+", "l", "arrow_cast(grouping({all}), 'Int64')", kind="aggregate", nullable=False)
define("grouping", "*", "y", "arrow_cast(grouping({0}), 'Int8')", kind="aggregate", nullable=False)
register(Function("try_sum", call("try_sum"), _sum_type, _summable, "aggregate", True, (1, 1)))
register(Function("try_avg", _mean(True), _mean_type, _mean_input, "aggregate", True, (1, 1)))
# Of moments, in one pass: the differences from a mean that is not known yet are expanded.
_M2 = "(sum({0} * {0}) / count({0}) - avg({0}) * avg({0}))"
_M3 = "(sum({0} * {0} * {0}) / count({0}) - 3 * avg({0}) * sum({0} * {0}) / count({0}) + 2 * power(avg({0}), 3))"
_M4 = (
    "(sum({0} * {0} * {0} * {0}) / count({0}) - 4 * avg({0}) * sum({0} * {0} * {0}) / count({0})"
    " + 6 * avg({0}) * avg({0}) * sum({0} * {0}) / count({0}) - 3 * power(avg({0}), 4))"
)
define("skewness", "d", "d", f"CASE WHEN {_M2} > 0 THEN {_M3} / power({_M2}, 1.5) END", kind="aggregate", nullable=True)
define("kurtosis", "d", "d", f"CASE WHEN {_M2} > 0 THEN {_M4} / power({_M2}, 2) - 3 END", kind="aggregate", nullable=True)
