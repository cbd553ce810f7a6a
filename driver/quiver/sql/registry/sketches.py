"""Functions of sketches (quiver_proto.spark_functions.sketches): one table of what they take and give."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from quiver.sql import types as t
from quiver.sql.errors import AnalysisException
from quiver.sql.registry.define import TYPES, mismatch
from quiver.sql.registry.model import AFTER, Coerce, Function, Types, register
from quiver.sql.registry.python import python
from quiver_proto.spark_functions import frequencies, sketches

_WHOLE = (t.ByteType, t.ShortType, t.IntegerType, t.LongType)
_TAKEN: dict[str, tuple[tuple[type[t.DataType], ...], t.DataType | None]] = {
    "x": ((t.BinaryType,), t.BinaryType()),
    "h": ((t.IntegerType, t.LongType, t.StringType, t.BinaryType), None),
    "t": ((t.IntegerType, t.LongType, t.FloatType, t.DoubleType, t.StringType, t.BinaryType), None),
    "w": (_WHOLE, t.LongType()),
    "e": ((t.FloatType, t.DoubleType), t.DoubleType()),
    "f": ((t.FloatType,), t.FloatType()),
    "v": ((t.NumericType, t.StringType), t.DoubleType()),
    "u": ((t.NumericType, t.StringType), t.IntegerType()),
    "i": ((t.IntegralType,), t.IntegerType()),
    "s": ((t.StringType,), t.StringType()),
    "b": ((t.BooleanType,), t.BooleanType()),
}
"""By letter: the types of an argument, and what they are cast to (None: nothing). Capital letters: of arrays, too."""
_NUMBERS = {"bigint": ("w", "W"), "double": ("e", "E"), "float": ("f", "F")}


def _takes(name: str, letters: str) -> Coerce:
    def one(number: int, letter: str, kind: t.DataType) -> t.DataType | None:
        known, wanted = _TAKEN[letter.lower()]
        if isinstance(kind, t.NullType):
            return wanted or t.StringType()
        if letter.isupper() and isinstance(kind, t.ArrayType):
            return t.ArrayType(one(number, letter, kind.elementType) or kind.elementType)
        exact = isinstance(kind, t.DecimalType) and letter in "EF"  # Constants such as 0.5.
        if not isinstance(kind, known) and not exact:
            raise mismatch(name, number, " or ".join(f'"{each.typeName().upper()}"' for each in known), kind)
        return wanted

    return lambda kinds: [one(number, letter, kind) for number, (letter, kind) in enumerate(zip(letters, kinds, strict=False), 1)]


def _lowered(name: str, gives: Callable[[Types], t.DataType], keyed: bool, gathers: bool) -> Callable[[Sequence[str], Types], str]:
    body = python(sketches.operation(name), gives, nulls=gathers)

    def lower(args: Sequence[str], kinds: Types) -> str:
        if not gathers:
            return body(args, kinds)
        if keyed:
            kind: t.DataType = t.StructType([t.StructField("k", kinds[0]), t.StructField("v", kinds[1])])
            listed, rest = f"named_struct('k', {args[0]}, 'v', {args[1]})", 2
        else:
            kind, listed, rest = kinds[0], args[0], 1
        return body([f"array_agg({listed}){AFTER}", *args[rest:]], [t.ArrayType(kind), *kinds[rest:]])

    return lower


def _add(name: str, takes: str, gives: str, *, keyed: bool = False) -> None:
    """`takes`: letters of _TAKEN, a `?` before those that may be left out. `gives`: a letter of define's; with a `+`: an array if the last
    argument is one."""
    required, _, optional = takes.partition("?")
    gathers = "_agg" in name
    kind = TYPES[gives.rstrip("+")]

    def returns(kinds: Types) -> t.DataType:
        return t.ArrayType(kind) if gives.endswith("+") and isinstance(kinds[-1], t.ArrayType) else kind

    function = Function(
        name, _lowered(name, returns, keyed, gathers), returns, _takes(name, required + optional), "aggregate" if gathers else "scalar",
        False if gathers else None, (len(required), len(required + optional)),
    )  # fmt: skip
    register(function)


_add("hll_sketch_agg", "h?i", "x")
_add("hll_sketch_estimate", "x", "l")
_add("hll_union_agg", "x?b", "x")
_add("hll_union", "xx?b", "x")
_add("theta_sketch_agg", "t?i", "x")
_add("theta_sketch_estimate", "x", "l")
_add("theta_union_agg", "x?i", "x")
_add("theta_intersection_agg", "x", "x")
_add("theta_union", "xx?i", "x")
_add("theta_intersection", "xx", "x")
_add("theta_difference", "xx", "x")
for _name, (_value, _values) in _NUMBERS.items():
    _letter = {"bigint": "l", "double": "d", "float": "f"}[_name]
    _add(f"kll_sketch_agg_{_name}", f"{_value}?i", "x")
    _add(f"kll_merge_agg_{_name}", "x?i", "x")
    _add(f"kll_sketch_merge_{_name}", "xx", "x")
    _add(f"kll_sketch_get_n_{_name}", "x", "l")
    _add(f"kll_sketch_get_quantile_{_name}", "xE", f"{_letter}+")
    _add(f"kll_sketch_get_rank_{_name}", f"x{_values}", "d+")
    _add(f"kll_sketch_to_string_{_name}", "x", "s")
for _name, _value, _letter in (("double", "v", "d"), ("integer", "u", "l")):
    _add(f"tuple_sketch_agg_{_name}", f"t{_value}?is", "x", keyed=True)
    _add(f"tuple_sketch_estimate_{_name}", "x", "d")
    _add(f"tuple_sketch_theta_{_name}", "x", "d")
    _add(f"tuple_sketch_summary_{_name}", "x?s", _letter)
    _add(f"tuple_union_agg_{_name}", "x?is", "x")
    _add(f"tuple_intersection_agg_{_name}", "x?s", "x")
    for _with in ("", "theta_"):
        _add(f"tuple_union_{_with}{_name}", "xx?is", "x")
        _add(f"tuple_intersection_{_with}{_name}", "xx?s", "x")
        _add(f"tuple_difference_{_with}{_name}", "xx", "x")


# ---- count-min ----

_CONSTANT = re.compile(r"\(*(?:arrow_cast\()*'?(-?[\d.eE+-]+)'?(?:, '[^']*'\))*\)*")


def _count_min(args: Sequence[str], kinds: Types) -> str:
    for name, written, most in (("eps", args[1], "1.7976931348623157E308"), ("confidence", args[2], "1.0")):
        found = _CONSTANT.fullmatch(written)
        if found is None or not 0 < float(found[1]) < (1.0 if name == "confidence" else float("inf")):
            raise AnalysisException(
                f'Cannot resolve "count_min_sketch" due to data type mismatch: The {name} must be between (0.0, {most}] (current value = '
                f"{written if found is None else found[1] + 'D'}).",
                "DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE",
            )
    listed = f"array_agg({args[0]}){AFTER}"
    return python(frequencies.count_min_sketch, lambda kinds: t.BinaryType(), nulls=True)(
        [listed, *args[1:]], [t.ArrayType(kinds[0]), *kinds[1:]]
    )


def _count_min_kinds(kinds: Types) -> Sequence[t.DataType | None]:
    if not isinstance(kinds[0], t.IntegralType | t.StringType | t.BinaryType | t.NullType):
        raise mismatch("count_min_sketch", 1, '"INTEGRAL" or "STRING" or "BINARY"', kinds[0])
    return [t.LongType() if isinstance(kinds[0], t.IntegralType) else None, t.DoubleType(), t.DoubleType(), t.LongType()]


register(Function("count_min_sketch", _count_min, lambda kinds: t.BinaryType(), _count_min_kinds, "aggregate", False, (4, 4)))
