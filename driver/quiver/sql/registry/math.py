"""Functions of numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from quiver.sql import types as t
from quiver.sql.analysis.coercion import bounded
from quiver.sql.lowering.names import cast
from quiver.sql.registry.define import define, result
from quiver.sql.registry.guarding import guarded, names_much
from quiver.sql.registry.model import Function, Types, register
from quiver.sql.registry.python import checked, python
from quiver_proto.spark_functions import numbers

D, INT, L, S = result("d"), result("i"), result("l"), result("s")

for _name in (
    "acosh",
    "asin",
    "acos",
    "asinh",
    "atan",
    "cbrt",
    "cos",
    "cosh",
    "exp",
    "expm1",
    "rint",
    "sin",
    "sinh",
    "tan",
    "tanh",
):
    define(_name, "d", "d", _name)
define("sqrt", "d", "d", "CASE WHEN {0} < 0 THEN CAST('NaN' AS DOUBLE) ELSE sqrt({0}) END")
define("atanh", "d", "d", "atanh")
define("cot", "d", "d", "(1.0 / tan({0}))")
define("csc", "d", "d", "(1.0 / sin({0}))")
define("sec", "d", "d", "(1.0 / cos({0}))")
define("degrees", "d", "d", "degrees")
define("radians", "d", "d", "radians")
define("signum", "d", "d", "CASE WHEN isnan({0}) THEN {0} ELSE signum({0}) END", "sign")
define("atan2", "dd", "d", "atan2")
define("hypot", "dd", "d", "hypot")
define("pow", "dd", "d", "power", "power")
for _name, _base in (("ln", "ln"), ("log10", "log10"), ("log2", "log2")):
    # A logarithm of what has none is null.
    define(_name, "d", "d", f"CASE WHEN {{0}} <= 0 THEN NULL ELSE {_base}({{0}}) END")
# Exact near zero too, where 1 + x has lost most digits of x.
define(
    "log1p",
    "d",
    "d",
    "CASE WHEN {0} <= -1 THEN NULL WHEN 1.0 + {0} = 1.0 THEN {0} WHEN abs({0}) > 1e15 THEN ln({0}) "
    "ELSE {0} * (ln(1.0 + {0}) / ((1.0 + {0}) - 1.0)) END",
)
define(
    "log",
    "d?d",
    "d",
    lambda args, kinds: (
        f"CASE WHEN {args[0]} <= 0 THEN NULL ELSE ln({args[0]}) END"
        if len(args) == 1
        else f"CASE WHEN {args[0]} <= 0 OR {args[1]} <= 0 THEN NULL ELSE ln({args[1]}) / ln({args[0]}) END"
    ),
)
define("e", "", "d", repr(math.e).join(("CAST(", " AS DOUBLE)")), nullable=False)
define("pi", "", "d", repr(math.pi).join(("CAST(", " AS DOUBLE)")), nullable=False)
define("factorial", "i", "l", python(numbers.factorial, L))
define("bin", "l", "s", python(numbers.binary, S))
define("conv", "sii", "s", python(numbers.conv, S))
define("width_bucket", "dddl", "l", python(numbers.width_bucket, L))
define("isnan", "d", "b", "coalesce(isnan({0}), FALSE)", nullable=False)
define("nanvl", "dd", "d", "CASE WHEN isnan({0}) THEN {1} ELSE {0} END")


def _same(kinds: Types) -> t.DataType:
    return kinds[0]


def _absolute(args: Sequence[str], kinds: Types) -> str:
    (kind,) = kinds
    if isinstance(kind, t.IntegralType) and names_much(args):
        return checked(["abs"], args, kind)
    if isinstance(kind, t.IntegralType):
        least = {t.ByteType: -(2**7), t.ShortType: -(2**15), t.IntegerType: -(2**31)}.get(type(kind), -(2**63) + 1)
        if isinstance(kind, t.LongType):
            return guarded(f"{args[0]} < {least}", "ARITHMETIC_OVERFLOW", args[0], kind, f"abs({args[0]})")
        return cast(f"abs(CAST({args[0]} AS BIGINT))", kind)
    return f"abs({args[0]})"


define("abs", "n", "0", _absolute)


def _round_type(kinds: Types) -> t.DataType:
    return kinds[2] if len(kinds) > 2 else kinds[0]


def _rounding(mode: str) -> None:
    function = getattr(numbers, mode)

    def lower(args: Sequence[str], kinds: Types) -> str:
        kind = kinds[0]
        if len(args) == 1 and isinstance(kind, t.IntegralType):
            return args[0]
        if mode == "round" and len(args) == 1 and isinstance(kind, t.DoubleType):
            # Half up, away from zero; the kernel's own is exact for whole numbers.
            return f"round({args[0]})"
        if len(args) == 3:  # A decimal, whose result's type the analyser has told.
            wanted = kinds[2]
            assert isinstance(wanted, t.DecimalType)
            if mode == "round" and "-" not in args[1]:
                return cast(args[0], wanted)  # Half up, away from zero.
            return python(function, lambda kinds: wanted)(args[:2], kinds[:2])
        return python(function, lambda kinds: kinds[0])(args, kinds)

    define(mode, "n?i*", _round_type, lower)


_rounding("round")
_rounding("bround")


def _whole_type(kinds: Types) -> t.DataType:
    kind = kinds[0]
    if len(kinds) > 2:
        return kinds[2]
    if isinstance(kind, t.DecimalType):
        return bounded(kind.precision - kind.scale + 1, 0)
    return t.LongType()


def _whole(name: str) -> None:
    function = getattr(numbers, name)

    def lower(args: Sequence[str], kinds: Types) -> str:
        kind = kinds[0]
        if len(args) == 3:
            wanted = kinds[2]
            return python(function, lambda kinds: wanted)(args[:2], kinds[:2])
        if isinstance(kind, t.IntegralType):
            return cast(args[0], t.LongType())
        if isinstance(kind, t.DecimalType):
            # With a digit more: the kernel keeps the type, which the next whole number may not fit.
            wide = t.DecimalType(min(kind.precision + 1, 38), kind.scale)
            if kind.precision == 38:
                return python(function, _whole_type)([args[0], "0"], [kind, t.LongType()])
            return cast(f"{name}({cast(args[0], wide)})", _whole_type(kinds))
        return f"CASE WHEN isnan({args[0]}) THEN 0 ELSE CAST({name}({args[0]}) AS BIGINT) END"

    define(name, "n?i*", _whole_type, lower, *({"ceil": ("ceiling",)}.get(name, ())))


_whole("ceil")
_whole("floor")

# ---- bits ----


define("~", "*", "0", "bitwise_not({0})", "bitwise_not")
define("bit_count", "*", "i", python(numbers.bit_count, INT))
define("bit_get", "li", "y", python(numbers.bit_get, result("y")), "getbit")


def _shift(name: str, operator: str) -> None:
    function = getattr(numbers, name)

    def kinds_of(kinds: Types) -> Sequence[t.DataType | None]:
        return [t.LongType() if isinstance(kinds[0], t.LongType) else t.IntegerType(), t.IntegerType()]

    def lower(args: Sequence[str], kinds: Types) -> str:
        return python(function, _same)([*args, "64" if isinstance(kinds[0], t.LongType) else "32"], [*kinds, t.LongType()])

    register(Function(name, lower, _same, kinds_of, arity=(2, 2)), operator)


_shift("shiftleft", "<<")
_shift("shiftright", ">>")
_shift("shiftrightunsigned", ">>>")
