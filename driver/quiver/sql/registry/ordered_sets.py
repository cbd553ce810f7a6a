"""Aggregates of a group's values in their order: percentiles, the commonest value, lists as text."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from quiver.sql import types as t
from quiver.sql.errors import AnalysisException
from quiver.sql.lowering.casts import spark_cast
from quiver.sql.lowering.names import cast, text
from quiver.sql.registry.aggregates import gathered_by
from quiver.sql.registry.define import define, mismatch
from quiver.sql.registry.model import AFTER, DESCENDING, LISTED_BY_ITSELF, ORDERED, Types
from quiver.sql.registry.python import python
from quiver_proto.spark_functions import gathered

_NUMBER = re.compile(r"\(*(?:arrow_cast\()*'?(-?[\d.]+)'?(?:, '[^']*'\))*\)*")


def _first(kinds: Types) -> t.DataType:
    return kinds[0]


def _shares(name: str, written: str, kind: t.DataType) -> list[str]:
    """One share, or those of an array of constants. Raises AnalysisException for what is no share."""
    shares = [written]
    if isinstance(kind, t.ArrayType):
        found = re.fullmatch(r"make_array\((.*)\)", written, re.DOTALL)
        if found is None:
            raise mismatch(name, 2, "a constant", kind)
        shares = _items(found[1])
    for share in shares:
        number = _NUMBER.fullmatch(share)
        if number is not None and not 0 <= float(number[1]) <= 1:
            raise AnalysisException(
                f'Cannot resolve "{name}" due to data type mismatch: The percentage must be between [0.0, 1.0] '
                f"(current value = {number[1]}).",
                "DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE",
            )
    return shares


def _items(listed: str) -> list[str]:
    """Of a list of calls and constants: cut at the commas that are in no parenthesis."""
    items, depth = [""], 0
    for character in listed:
        depth += (character in "([") - (character in ")]")
        if character == "," and not depth:
            items.append("")
        else:
            items[-1] += character
    return [item.strip() for item in items]


def _each(name: str, one: Callable[[str, str], str]) -> Callable[[Sequence[str], Types], str]:
    """An aggregate for each share: `one` writes it of the value and the share."""

    def lower(args: Sequence[str], kinds: Types) -> str:
        written = [one(args[0], share) for share in _shares(name, args[1], kinds[1])]
        return f"make_array({', '.join(written)})" if isinstance(kinds[1], t.ArrayType) else written[0]

    return lower


def _of_shares(kind: Callable[[Types], t.DataType]) -> Callable[[Types], t.DataType]:
    return lambda kinds: t.ArrayType(kind(kinds), False) if isinstance(kinds[1], t.ArrayType) else kind(kinds)


def _doubles(kinds: Types) -> t.DataType:
    return t.DoubleType()


def _between(direction: str) -> Callable[[str, str], str]:
    """What lies between the values beside the rank."""

    def one(value: str, share: str) -> str:
        found = _NUMBER.fullmatch(share)
        if found is not None and float(found[1]) * 64 == int(float(found[1]) * 64):
            # The kernel's own cuts the place between two values to six digits, which such shares don't need.
            return f"percentile_cont({value}, {float(found[1]) if direction == 'ASC' else 1 - float(found[1])}){AFTER}"
        ordered = f"array_sort(array_agg({value}){AFTER}, '{direction}', 'NULLS LAST')"
        bare = value.removeprefix("DISTINCT ")
        rank = f"(CAST({share} AS DOUBLE) * (count({value}){AFTER} - 1))"
        low, high = (f"array_element({ordered}, CAST({way}({rank}) AS BIGINT) + 1)" for way in ("floor", "ceil"))
        between = f"(ceil({rank}) - {rank}) * {low} + ({rank} - floor({rank})) * {high}"
        return f"(CASE WHEN count({bare}){AFTER} = 0 THEN NULL WHEN floor({rank}) = {rank} THEN {low} ELSE {between} END)"

    return one


def _at(direction: str) -> Callable[[str, str], str]:
    """A value that is there: the first at or behind the rank."""

    def one(value: str, share: str) -> str:
        ordered = f"array_sort(array_agg({value}){AFTER}, '{direction}', 'NULLS LAST')"
        return f"array_element({ordered}, greatest(1, CAST(ceil(CAST({share} AS DOUBLE) * count({value}){AFTER}) AS BIGINT)))"

    return one


def _percentile(args: Sequence[str], kinds: Types) -> str:
    if len(args) < 3:
        return _each("percentile", _between("ASC"))(args, kinds)
    # Of values that count several times each.
    pairs = f"array_agg(named_struct('v', {args[0]}, 'n', {args[2]})){AFTER}"
    members = t.StructType([t.StructField("v", kinds[0]), t.StructField("n", kinds[2])])
    weighed = python(gathered.weighed_percentile, _doubles, nulls=True)
    shares = [cast(share, t.DoubleType()) for share in _shares("percentile", args[1], kinds[1])]
    written = [weighed([pairs, share], [t.ArrayType(members), t.DoubleType()]) for share in shares]
    return f"make_array({', '.join(written)})" if isinstance(kinds[1], t.ArrayType) else written[0]


define("median", "d", "d", f"percentile_cont({{0}}, 0.5){AFTER}", kind="aggregate", nullable=True)
define("percentile", "d*?l", _of_shares(_doubles), _percentile, kind="aggregate", nullable=True)
define("percentile_cont", "d*", _of_shares(_doubles), _each("percentile_cont", _between("ASC")), kind="aggregate", nullable=True)
define(
    f"percentile_cont{DESCENDING}",
    "d*",
    _of_shares(_doubles),
    _each("percentile_cont", _between("DESC")),
    kind="aggregate",
    nullable=True,
)
for _name, _direction in (("percentile_disc", "ASC"), (f"percentile_disc{DESCENDING}", "DESC")):
    define(_name, "d*", _of_shares(_doubles), _each("percentile_disc", _at(_direction)), kind="aggregate", nullable=True)
define(
    "percentile_approx",
    "n*?l",
    _of_shares(_first),
    _each("percentile_approx", _at("ASC")),
    "approx_percentile",
    kind="aggregate",
    nullable=True,
)
define("mode", "*?b", "0", gathered_by("mode", _first), kind="aggregate", nullable=True)
define("mode within group", "*", "0", gathered_by("least_mode", _first), kind="aggregate", nullable=True)
define(f"mode within group{DESCENDING}", "*", "0", gathered_by("greatest_mode", _first), kind="aggregate", nullable=True)


def _listed(args: Sequence[str], kinds: Types) -> str:
    *before, last = args
    last, ordered, order = last.partition(ORDERED)
    value, separator = (before[0], last) if before else (last, text(""))
    separator = f"coalesce({separator}, '')" if separator.startswith("arrow_cast(NULL") else separator
    return f"string_agg({value}, {separator}{ordered}{order})"


def _listed_by_itself(args: Sequence[str], kinds: Types) -> str:
    """Of value, separator, directions and keys; see gathered.listed_in_order."""
    value, separator, directions, *keys = args
    names = ["v", *(str(place) for place in range(len(keys)))]
    members = ", ".join(f"{text(name)}, {member}" for name, member in zip(names, (value, *keys), strict=True))
    row = t.StructType([t.StructField(name, kind) for name, kind in zip(names, (kinds[0], *kinds[3:]), strict=True)])
    listed = python(gathered.listed_in_order, lambda kinds: t.StringType(), nulls=True)
    pairs = f"array_agg(named_struct({members})){AFTER}"
    return listed([pairs, separator, directions], [t.ArrayType(row), t.StringType(), t.StringType()])


def _distinctly_listed(direction: str) -> Callable[[Sequence[str], Types], str]:
    """By a sort of its own: with several orders in one query the kernel lists distinct values by another's."""

    def lower(args: Sequence[str], kinds: Types) -> str:
        value, separator = args
        ordered = f"array_sort(array_agg({value}){AFTER}, '{direction}', 'NULLS LAST')"
        if not isinstance(kinds[0], t.StringType):
            ordered = f"array_transform({ordered}, x -> {spark_cast('x', kinds[0], t.StringType(), False, '')})"
        return f"(CASE WHEN count({value}){AFTER} > 0 THEN array_to_string({ordered}, coalesce({separator}, '')) END)"

    return lower


for _name, _direction in (("listagg distinct", "ASC"), (f"listagg distinct{DESCENDING}", "DESC")):
    define(_name, "*s", "s", _distinctly_listed(_direction), kind="aggregate", nullable=True)
define("string_agg", "s?s", "s", _listed, "listagg", kind="aggregate", nullable=True)
define(LISTED_BY_ITSELF, "sss*+", "s", _listed_by_itself, kind="aggregate", nullable=True)
