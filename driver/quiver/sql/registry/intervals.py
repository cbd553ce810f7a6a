"""Functions of intervals. Those whose names begin with `interval ` are what analysis makes of others (analysis/intervals.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from quiver.sql import types as t
from quiver.sql.analysis.intervals import OF_INTERVALS
from quiver.sql.lowering.interval_casts import months_of, of_months
from quiver.sql.lowering.names import cast
from quiver.sql.registry.define import define
from quiver.sql.registry.guarding import guarded
from quiver.sql.registry.model import AFTER, Function, Types, register
from quiver.sql.registry.python import python
from quiver_proto.spark_functions import times

_L = t.LongType()
_SPAN = t.DayTimeIntervalType()
_MONTHS = t.YearMonthIntervalType()
_WIDE = t.DecimalType(20, 0)


def _is_months(kind: t.DataType) -> bool:
    return isinstance(kind, t.YearMonthIntervalType)


def _whole(value: str, kind: t.DataType) -> str:
    """Its months or microseconds."""
    return months_of(value) if _is_months(kind) else cast(value, _L)


def _interval(value: str, kind: t.DataType) -> str:
    """The interval of so many months or microseconds."""
    return of_months(value) if _is_months(kind) else cast(cast(value, _L), kind)


def _general(kinds: Types) -> t.DataType:
    return _MONTHS if _is_months(kinds[0]) else _SPAN


def _same(kinds: Types) -> t.DataType:
    return kinds[0]


def _with_number(kinds: Types) -> Sequence[t.DataType | None]:
    return [None, None if isinstance(kinds[1], t.DecimalType | t.IntegralType) else t.DoubleType()]


def _times(args: Sequence[str], kinds: Types) -> str:
    value = cast(_whole(args[0], kinds[0]), t.DoubleType() if isinstance(kinds[1], t.DoubleType) else t.DecimalType(20, 0))
    return _interval(f"round({value} * {args[1]})", kinds[0])


def _ratio(args: Sequence[str], kinds: Types) -> str:
    value = cast(_whole(args[0], kinds[0]), t.DoubleType())
    return f"round({value} / nullif({cast(args[1], t.DoubleType())}, 0.0))"


def _over(args: Sequence[str], kinds: Types) -> str:
    return _interval(_ratio(args, kinds), kinds[0])


def _divided(args: Sequence[str], kinds: Types) -> str:
    zero = f"{args[1]} = 0 AND {args[0]} IS NOT NULL"
    amount = f"arrow_cast({_ratio(args, kinds)}, 'Int64')"
    return _interval(f"({guarded(zero, 'INTERVAL_DIVIDED_BY_ZERO', args[1], _L, amount)})", kinds[0])


def _named(name: str) -> str:
    return OF_INTERVALS + name


for _prefix in ("", "try_"):
    _product, _quotient = ("*", "/") if not _prefix else ("try_multiply", "try_divide")
    register(Function(_named(_product), _times, _general, _with_number, arity=(2, 2), nullable=True if _prefix else None))
    register(
        Function(
            _named(_quotient), _over if _prefix else _divided, _general, _with_number, arity=(2, 2), nullable=True if _prefix else None
        )
    )
    register(
        Function(_named(f"{_prefix}sum"), lambda args, kinds: _total(args, kinds), _same, kind="aggregate", nullable=True, arity=(1, 1))
    )
    register(
        Function(_named(f"{_prefix}avg"), lambda args, kinds: _mean(args, kinds), _general, kind="aggregate", nullable=True, arity=(1, 1))
    )


def _inner(value: str, write: Callable[[str], str]) -> str:
    """Of an aggregate's argument, which may begin with DISTINCT."""
    return f"DISTINCT {write(value[9:])}" if value.startswith("DISTINCT ") else write(value)


def _total(args: Sequence[str], kinds: Types) -> str:
    (kind,) = kinds
    amounts = _inner(args[0], lambda value: cast(_whole(value, kind), _WIDE))
    return _interval(f"sum({amounts}){AFTER}", kind)


def _mean(args: Sequence[str], kinds: Types) -> str:
    (kind,) = kinds
    amounts = _inner(args[0], lambda value: cast(_whole(value, kind), t.DecimalType(20, 0)))
    return _interval(f"round(avg({amounts}){AFTER})", kind)


def _middle(args: Sequence[str], kinds: Types) -> str:
    share = args[1] if len(args) > 1 else "0.5"
    amount = cast(_whole(args[0], kinds[0]), t.DoubleType())
    return _interval(f"round(percentile_cont({amount}, {share}){AFTER})", kinds[0])


register(Function(_named("median"), _middle, _general, kind="aggregate", nullable=True, arity=(1, 1)))
register(Function(_named("percentile"), _middle, _general, kind="aggregate", nullable=True, arity=(2, 2)))
register(Function(_named("negative"), lambda args, kinds: _interval(f"(-{_whole(args[0], kinds[0])})", kinds[0]), _same, arity=(1, 1)))
register(Function(_named("abs"), lambda args, kinds: _interval(f"abs({_whole(args[0], kinds[0])})", kinds[0]), _same, arity=(1, 1)))
define(_named("signum"), "*", "d", lambda args, kinds: f"CAST(signum({_whole(args[0], kinds[0])}) AS DOUBLE)")
for _part, _gives, _size, _below in (
    ("day", "i", 86_400_000_000, 0),
    ("hour", "y", 3_600_000_000, 24),
    ("minute", "y", 60_000_000, 60),
):
    _rest = f" % {_below}" if _below else ""
    _kernel = "Int8" if _below else "Int32"
    define(_named(_part), "*", _gives, f"arrow_cast((arrow_cast({{0}}, 'Int64') / {_size}){_rest}, '{_kernel}')")
_FRACTION = t.DecimalType(8, 6)
define(
    _named("second"),
    "*",
    lambda kinds: _FRACTION,
    lambda args, kinds: f"arrow_cast(arrow_cast({cast(args[0], _L)} % 60000000, 'Decimal128(14, 6)') / 1000000, 'Decimal128(8, 6)')",
)
define(_named("year"), "*", "i", lambda args, kinds: cast(f"({months_of(args[0])} / 12)", t.IntegerType()))
define(_named("month"), "*", "y", lambda args, kinds: cast(f"({months_of(args[0])} % 12)", t.ByteType()))


def _calendar_kinds(kinds: Types) -> Sequence[t.DataType | None]:
    return [*[t.IntegerType()] * 6, t.DecimalType(18, 6)][: len(kinds)]


def _calendar(lenient: bool) -> Callable[[Sequence[str], Types], str]:
    function = times.try_make_interval if lenient else times.make_interval
    kind = t.CalendarIntervalType()

    def lower(args: Sequence[str], kinds: Types) -> str:
        given = [*args, *[cast("0", t.IntegerType())] * (6 - len(args))]
        types = [*kinds, *[t.IntegerType()] * (6 - len(kinds))]
        return python(function, lambda kinds: kind)(given, types)

    return lower


for _name, _lenient in (("make_interval", False), ("try_make_interval", True)):
    register(
        Function(
            _name, _calendar(_lenient), lambda kinds: t.CalendarIntervalType(), _calendar_kinds, arity=(0, 7), nullable=_lenient or None
        )
    )
