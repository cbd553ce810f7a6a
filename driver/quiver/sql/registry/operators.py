"""Operators: arithmetic, comparison, logic."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from quiver.sql import types as t
from quiver.sql.analysis.coercion import as_decimal, bounded, expect_common
from quiver.sql.analysis.ranges import LIMITS
from quiver.sql.errors import AnalysisException
from quiver.sql.lowering.names import cast, constant, text
from quiver.sql.registry.model import Function, Types, register, template
from quiver.sql.registry.python import checked
from quiver_proto.spark_functions.times_of_day import DAY


def _boolean(kinds: Types) -> t.DataType:
    return t.BooleanType()


def _numbers(operator: str, kinds: Types) -> Sequence[t.DataType | None]:
    # A string beside an integer is one, beside anything else a double.
    whole = any(isinstance(kind, t.IntegralType) for kind in kinds)
    plain = [(t.LongType() if whole else t.DoubleType()) if isinstance(kind, t.StringType) else kind for kind in kinds]
    for kind in plain:
        if not isinstance(kind, t.NumericType | t.NullType | t.DayTimeIntervalType | t.YearMonthIntervalType):
            if isinstance(kind, t.ArrayType | t.MapType | t.StructType) and any(isinstance(each, t.AtomicType) for each in plain):
                raise _operands(operator, kinds)
            raise AnalysisException(
                f'Cannot resolve "{operator}" due to data type mismatch: it takes numbers, not "{kind.simpleString().upper()}".',
                "DATATYPE_MISMATCH.BINARY_OP_WRONG_TYPE",
            )
    both = expect_common(operator, plain)
    if isinstance(both, t.NullType):
        both = t.DoubleType()
    if isinstance(both, t.DecimalType):
        return [as_decimal(kind) if isinstance(kind, t.IntegralType | t.DecimalType) else both for kind in plain]
    return [both] * len(plain)


def _sum_type(kinds: Types) -> t.DataType:
    a, b = kinds
    if isinstance(a, t.DecimalType) and isinstance(b, t.DecimalType):
        scale = max(a.scale, b.scale)
        return bounded(max(a.precision - a.scale, b.precision - b.scale) + scale + 1, scale)
    return a


def _product_type(kinds: Types) -> t.DataType:
    a, b = kinds
    if isinstance(a, t.DecimalType) and isinstance(b, t.DecimalType):
        return bounded(a.precision + b.precision + 1, a.scale + b.scale)
    return a


def _quotient_type(kinds: Types) -> t.DataType:
    a, b = kinds
    if isinstance(a, t.DecimalType) and isinstance(b, t.DecimalType):
        scale = max(6, a.scale + b.precision + 1)
        return bounded(a.precision - a.scale + b.scale + scale, scale)
    return a


def _division(kinds: Types) -> Sequence[t.DataType | None]:
    wanted = _numbers("/", kinds)
    return [kind if isinstance(kind, t.DecimalType) else t.DoubleType() for kind in wanted]


_DATES = (t.DateType, t.TimestampType, t.TimestampNTZType)


def _is_days(kind: t.DataType) -> bool:
    """An interval of whole days, which added to a date gives a date."""
    return isinstance(kind, t.DayTimeIntervalType) and kind.startField == kind.endField == t.DayTimeIntervalType.DAY


def _is_moved(kinds: Types) -> bool:
    """Whether it is a time of the day and an interval."""
    return any(isinstance(kind, t.TimeType) for kind in kinds) and any(isinstance(kind, t.DayTimeIntervalType) for kind in kinds)


def _plus(kinds: Types) -> Sequence[t.DataType | None]:
    if any(isinstance(kind, t.TimeType) for kind in kinds):
        if _is_moved(kinds):
            return [None, None]
        raise _operands("+", kinds)
    if any(isinstance(kind, _DATES) for kind in kinds):
        for kind, other in (kinds, kinds[::-1]):
            if isinstance(kind, t.DateType) and isinstance(other, t.DayTimeIntervalType) and not _is_days(other):
                return [t.TimestampType() if each is kind else None for each in kinds]
            if isinstance(kind, t.DateType) and isinstance(other, t.IntegralType | t.NullType):
                return [None if each is kind else t.IntegerType() for each in kinds]
            if isinstance(kind, t.StringType):
                raise _operands("+", kinds)
        if all(isinstance(kind, _DATES) for kind in kinds) or any(isinstance(kind, t.NumericType) for kind in kinds):
            raise _operands("+", kinds)
        return [None, None]
    return _numbers("+", kinds)


def _operands(operator: str, kinds: Types) -> AnalysisException:
    listed = " and ".join(f'"{kind.simpleString().upper()}"' for kind in kinds)
    return AnalysisException(
        f'Cannot resolve "{operator}" due to data type mismatch: the left and right operands have incompatible types ({listed}).',
        "DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES",
    )


def _plus_type(kinds: Types) -> t.DataType:
    for kind, other in (kinds, kinds[::-1]):
        if isinstance(kind, t.TimeType) and isinstance(other, t.DayTimeIntervalType):
            return t.TimeType(6) if other.endField == t.DayTimeIntervalType.SECOND else kind
    for kind in kinds:
        if isinstance(kind, _DATES):
            return kind
    return _sum_type(kinds)


def _minus_type(kinds: Types) -> t.DataType:
    a, b = kinds
    if isinstance(a, t.TimeType) and isinstance(b, t.TimeType):
        return t.DayTimeIntervalType(t.DayTimeIntervalType.HOUR, t.DayTimeIntervalType.SECOND)
    if isinstance(a, _DATES) and isinstance(b, _DATES):
        return (
            t.DayTimeIntervalType(t.DayTimeIntervalType.DAY, t.DayTimeIntervalType.DAY)
            if isinstance(a, t.DateType) and isinstance(b, t.DateType)
            else t.DayTimeIntervalType()
        )
    return _plus_type(kinds)


def _minus(kinds: Types) -> Sequence[t.DataType | None]:
    if any(isinstance(kind, t.TimeType) for kind in kinds):
        if isinstance(kinds[0], t.TimeType) and isinstance(kinds[1], t.TimeType | t.DayTimeIntervalType):
            return [None, None]
        raise _operands("-", kinds)
    for kind, other in (kinds, kinds[::-1]):
        if isinstance(kind, t.StringType) and isinstance(other, _DATES):
            return [other, other]
    if all(isinstance(kind, _DATES) for kind in kinds):
        if all(isinstance(kind, t.DateType) for kind in kinds):
            return [None, None]
        walls = any(isinstance(kind, t.TimestampNTZType) for kind in kinds)
        return [t.TimestampNTZType() if walls else t.TimestampType()] * 2
    return _plus(kinds) if any(isinstance(kind, _DATES) for kind in kinds) else _numbers("-", kinds)


def _of_clocks(operator: str, args: Sequence[str], kinds: Types, lenient: bool) -> str | None:
    """Times of the day and intervals added and subtracted, or times; None: there is no time among the operands."""
    if not any(isinstance(kind, t.TimeType) for kind in kinds):
        return None
    moved = f"({cast(args[0], t.LongType())} {operator} {cast(args[1], t.LongType())})"
    if not _is_moved(kinds):
        return cast(moved, _minus_type(kinds))
    kind = _plus_type(kinds)
    outside = f"{moved} < 0 OR {moved} >= {DAY}"
    if lenient:
        return f"(CASE WHEN NOT ({outside}) THEN {cast(moved, kind)} END)"
    return f"({guarded(outside, 'DATETIME_OVERFLOW', moved, kind, cast(moved, kind))})"


def _of_times(operator: str, args: Sequence[str], kinds: Types, lenient: bool = False) -> str | None:
    """Dates, times and intervals added and subtracted; None: there are none among the operands."""
    of_clocks = _of_clocks(operator, args, kinds, lenient)
    if of_clocks is not None:
        return of_clocks
    (a, b), (left, right) = args, kinds
    if isinstance(left, t.DateType) and isinstance(right, t.DateType):
        return f"arrow_cast(CAST(arrow_cast({a}, 'Int32') - arrow_cast({b}, 'Int32') AS BIGINT) * 86400000000, 'Duration(Microsecond)')"
    if isinstance(right, t.DateType) and operator == "+":
        return _of_times(operator, (b, a), (right, left))
    if isinstance(left, t.DateType):
        if isinstance(right, t.IntegralType):
            return cast(f"(arrow_cast({a}, 'Int32') {operator} {b})", left)
        if isinstance(right, t.DayTimeIntervalType):
            days = f"arrow_cast(arrow_cast({b}, 'Int64') / 86400000000, 'Int32')"
            return cast(f"(arrow_cast({a}, 'Int32') {operator} {days})", left)
        return cast(f"({a} {operator} {b})", left)
    return None


_WIDE = t.DecimalType(19, 0)
_POSITIVE = re.compile(r"\d+")
_NONZERO = re.compile(r"\(*(?:arrow_cast\()*'?-?(\d[\d.]*)'?(?:, '[^']*'\))*\)*")


def guarded(condition: str, error: str, value: str, kind: t.DataType, otherwise: str) -> str:
    """`otherwise`, unless the condition holds of a row: then the job fails with Spark's `error`, raised by a time that can't be read.

    It must be a function that fails: of a cast that does, in a branch that no row takes, the kernel complains while it plans.
    """
    failing = f"arrow_cast(to_timestamp(concat({text(f'[{error}] ')}, {cast(value, t.StringType())})), 'Int64')"
    raised = cast(failing, kind)
    return f"CASE WHEN {condition} THEN {raised} ELSE {otherwise} END"


def _never_zero(value: str) -> bool:
    found = _NONZERO.fullmatch(value)
    return found is not None and float(found[1]) != 0


def names_much(values: Sequence[str]) -> bool:
    """Whether operands are too much to be written several times: chains would grow by a power with every link."""
    return any("CASE " in value for value in values) or sum(map(len, values)) > _SHORT


_SHORT = 400
CHECKED = {"+": "add", "-": "subtract", "*": "multiply"}
_LONGEST = "9.2233720368547e18"
"""A product of doubles below it is, whatever was rounded, of bigints whose product is one."""


def _arithmetic(operator: str, result_type: Callable[[Types], t.DataType]) -> Callable[[Sequence[str], Types], str]:
    """Integers that leave their type are an error: smaller ones are computed as bigint and cast back; bigints, which wrap around in the
    kernel, are looked at afterwards."""

    def lower(args: Sequence[str], kinds: Types) -> str:
        kind = result_type(kinds)
        a, b = args
        of_times = _of_times(operator, args, kinds)
        if of_times is not None:
            return of_times
        if not all(isinstance(operand, t.IntegralType) for operand in kinds):
            if isinstance(kind, t.DecimalType):
                return cast(_decimals(operator, args, kinds), kind)
            return f"({a} {operator} {b})"
        assert isinstance(kind, t.IntegralType)
        if names_much(args):
            return checked([CHECKED[operator]], args, kind)
        if not isinstance(kind, t.LongType):
            return _narrowed(f"({cast(a, t.LongType())} {operator} {cast(b, t.LongType())})", kind)
        if operator == "*":
            product = f"abs({cast(a, t.DoubleType())} * {cast(b, t.DoubleType())})"
            wide = _narrowed(f"({cast(a, _WIDE)} * {cast(b, _WIDE)})", kind)
            return f"(CASE WHEN {product} >= {_LONGEST} THEN {wide} ELSE {a} * {b} END)"
        moved = f"{a} {operator} {b} {'<' if operator == '+' else '>'} {a}"
        if _POSITIVE.fullmatch(b):
            wrapped = moved
        elif operator == "+" and _POSITIVE.fullmatch(a):
            wrapped = f"{a} + {b} < {b}"
        else:
            wrapped = f"({moved}) <> ({b} < 0)"
        exact = f"({cast(a, _WIDE)} {operator} {cast(b, _WIDE)})"
        return f"({guarded(wrapped, 'ARITHMETIC_OVERFLOW', exact, kind, f'{a} {operator} {b}')})"

    return lower


def _decimals(operator: str, args: Sequence[str], kinds: Types, lenient: bool = False) -> str:
    """Of sums that may take more digits than a decimal has, the kernel gives those digits; of wider ones, cast back, it makes an error."""
    a, b = kinds
    assert isinstance(a, t.DecimalType)
    assert isinstance(b, t.DecimalType)
    if operator == "*":
        return _product(args, a, b, lenient)
    scale = max(a.scale, b.scale)
    if max(a.precision - a.scale, b.precision - b.scale) + scale < 38:
        return f"({args[0]} {operator} {args[1]})"
    left, right = (_wide_decimal(arg, t.DecimalType(38, scale)) for arg in args)
    return f"({left} {operator} {right})"


def _product(args: Sequence[str], a: t.DecimalType, b: t.DecimalType, lenient: bool) -> str:
    """Where digits of the fraction are to go the kernel needs 76, since those before may not fit. Else its own is looked at: its numbers
    have room for somewhat more than 38 digits."""
    product = f"({args[0]} * {args[1]})"
    if a.precision + b.precision <= 38:
        return product
    kind = _product_type((a, b))
    assert isinstance(kind, t.DecimalType)
    if kind.scale == a.scale + b.scale and not names_much(args) and not lenient:
        digits = "9" * 38
        most = cast(text(f"{digits[kind.scale :]}.{digits[: kind.scale]}".rstrip(".")), kind)
        return f"(CASE WHEN abs({product}) > {most} THEN {cast(_wide_decimal(product, kind), kind)} ELSE {product} END)"
    return f"({_wide_decimal(args[0], a)} * {_wide_decimal(args[1], b)})"


def _wide_decimal(value: str, kind: t.DecimalType) -> str:
    return f"arrow_cast({value}, 'Decimal256(76, {kind.scale})')"


def _narrowed(value: str, kind: t.DataType) -> str:
    """As the narrower type. An own error, since the kernel's is that of a cast."""
    narrow = cast(value, kind, lenient=True)
    return f"({guarded(f'{narrow} IS NULL AND {value} IS NOT NULL', 'ARITHMETIC_OVERFLOW', value, kind, narrow)})"


def _plain(operator: str, result_type: Callable[[Types], t.DataType]) -> Callable[[Sequence[str], Types], str]:
    def lower(args: Sequence[str], kinds: Types) -> str:
        kind = result_type(kinds)
        plain = f"({args[0]} {operator} {args[1]})"
        return cast(plain, kind) if isinstance(kind, t.DecimalType) else plain

    return lower


def _try(operator: str, result_type: Callable[[Types], t.DataType]) -> Callable[[Sequence[str], Types], str]:
    def lower(args: Sequence[str], kinds: Types) -> str:
        kind = result_type(kinds)
        of_times = _of_times(operator, args, kinds, True)
        if of_times is not None:
            return of_times
        if isinstance(kind, t.IntegralType):
            return cast(f"({cast(args[0], _WIDE)} {operator} {cast(args[1], _WIDE)})", kind, lenient=True)
        if isinstance(kind, t.DecimalType):
            return cast(_decimals(operator, args, kinds, True), kind, lenient=True)
        return f"({args[0]} {operator} {args[1]})"

    return lower


def _zero_is_null(value: str) -> str:
    # -0.0 is no less zero.
    return value if _never_zero(value) else f"CASE WHEN {value} <> 0 THEN {value} END"


register(Function("+", _arithmetic("+", _plus_type), _plus_type, _plus, arity=(2, 2), unchecked=_plain("+", _plus_type)))
register(Function("-", _arithmetic("-", _minus_type), _minus_type, _minus, arity=(2, 2), unchecked=_plain("-", _minus_type)))
register(
    Function(
        "*",
        _arithmetic("*", _product_type),
        _product_type,
        lambda kinds: _numbers("*", kinds),
        arity=(2, 2),
        unchecked=_plain("*", _product_type),
    )
)
register(Function("try_add", _try("+", _plus_type), _plus_type, _plus, nullable=True, arity=(2, 2)))
register(Function("try_subtract", _try("-", _minus_type), _minus_type, _minus, nullable=True, arity=(2, 2)))
register(Function("try_multiply", _try("*", _product_type), _product_type, lambda kinds: _numbers("*", kinds), nullable=True, arity=(2, 2)))


def _remainder_type(kinds: Types) -> t.DataType:
    a, b = kinds
    if isinstance(a, t.DecimalType) and isinstance(b, t.DecimalType):
        scale = max(a.scale, b.scale)
        return bounded(min(a.precision - a.scale, b.precision - b.scale) + scale, scale)
    return a


def _remainder(kinds: Types) -> Sequence[t.DataType | None]:
    wanted = _numbers("%", kinds)
    if all(isinstance(kind, t.DecimalType) for kind in wanted):
        return wanted
    return [expect_common("%", [kind for kind in _numbers("%", kinds) if kind is not None])] * 2


def _divided(operation: str, args: Sequence[str], divisor: t.DataType, kind: t.DataType, error: str = "DIVIDE_BY_ZERO") -> str:
    if _never_zero(args[1]):
        return operation
    return guarded(
        f"{args[1]} = 0 AND {args[0]} IS NOT NULL",
        error,
        f"concat({', '.join(cast(value, t.StringType()) for value in args)})",
        kind,
        operation,
    )


def decimal_quotient(a: str, b: str, kinds: Types, kind: t.DecimalType, lenient: bool = False) -> str:
    """Rounded half up to the scale of `kind`. The kernel gives four digits more than the dividend's, and cuts the others off.

    Zero as a divisor is the kernel's own error.
    """
    dividend, divisor = kinds
    assert isinstance(dividend, t.DecimalType)
    assert isinstance(divisor, t.DecimalType)
    scale = max(kind.scale - 3, dividend.scale)  # Four more: one more than is wanted, to round by.
    precision = dividend.precision - dividend.scale + scale
    # What the kernel divides is the dividend, shifted until the quotient has its scale.
    if max(precision, divisor.precision, precision + 4 + divisor.scale) <= 37:
        return cast(f"({cast(a, t.DecimalType(precision, scale))} / {b})", kind, lenient)
    wide = f"arrow_cast({a}, 'Decimal256(76, {_quotient_scale(dividend, divisor, kind) - 4})')"
    return cast(f"({wide} / arrow_cast({b}, 'Decimal256({divisor.precision}, {divisor.scale})'))", kind, lenient)


def _quotient_scale(dividend: t.DecimalType, divisor: t.DecimalType, kind: t.DecimalType) -> int:
    return min(max(kind.scale - 3, dividend.scale), 70 - divisor.scale) + 4


def computed_scale(operator: str, a: t.DecimalType, b: t.DecimalType) -> int:
    """How many digits of the fraction the kernel computes of a product or quotient, before it is cast to the result's type."""
    kind = _quotient_type((a, b))
    return a.scale + b.scale if operator == "*" or not isinstance(kind, t.DecimalType) else _quotient_scale(a, b, kind)


def _quotient(args: Sequence[str], kinds: Types) -> str:
    kind = _quotient_type(kinds)
    if isinstance(kind, t.DecimalType):
        return decimal_quotient(args[0], args[1], kinds, kind)
    return _divided(f"({args[0]} / {args[1]})", args, kinds[1], kind)


def _try_quotient(args: Sequence[str], kinds: Types) -> str:
    kind = _quotient_type(kinds)
    divisor = _zero_is_null(args[1])
    return decimal_quotient(args[0], divisor, kinds, kind, True) if isinstance(kind, t.DecimalType) else f"({args[0]} / {divisor})"


def _mod(args: Sequence[str], kinds: Types) -> str:
    kind = _remainder_type(kinds)
    rest = f"({args[0]} % {args[1]})"
    return _divided(cast(rest, kind) if isinstance(kind, t.DecimalType) else rest, args, kinds[1], kind, "REMAINDER_BY_ZERO")


def _pmod(args: Sequence[str], kinds: Types) -> str:
    a, b = args
    kind = _remainder_type(kinds)
    positive = f"CASE WHEN ({a} % {b}) < 0 THEN (({a} % {b}) + {b}) % {b} ELSE {a} % {b} END"
    return _divided(cast(positive, kind) if isinstance(kind, t.DecimalType) else positive, args, kinds[1], kind, "REMAINDER_BY_ZERO")


register(Function("/", _quotient, _quotient_type, _division, arity=(2, 2)))
register(Function("try_divide", _try_quotient, _quotient_type, _division, nullable=True, arity=(2, 2)))
register(Function("%", _mod, _remainder_type, _remainder, arity=(2, 2)), "mod")
register(Function("pmod", _pmod, _remainder_type, _remainder, arity=(2, 2)))
register(
    Function(
        "try_mod",
        lambda args, kinds: cast(f"({args[0]} % {_zero_is_null(args[1])})", _remainder_type(kinds)),
        _remainder_type,
        _remainder,
        nullable=True,
        arity=(2, 2),
    )
)
register(
    Function(
        "div",
        template("({0} / {1})"),
        lambda kinds: t.LongType(),
        lambda kinds: [t.LongType()] * 2,
        arity=(2, 2),
    )
)


def _negated(args: Sequence[str], kinds: Types) -> str:
    (kind,) = kinds
    if isinstance(kind, t.IntegralType) and names_much(args):
        return checked(["negate"], args, kind)
    if isinstance(kind, t.IntegralType):
        # The kernel's own is checked; its error does not say that it is one of arithmetic.
        least = constant(LIMITS[type(kind)][0], kind)
        return f"({guarded(f'{args[0]} = {least}', 'ARITHMETIC_OVERFLOW', args[0], kind, f'- {args[0]}')})"
    return f"(- {args[0]})"


register(
    Function(
        "negative",
        _negated,
        lambda kinds: kinds[0],
        lambda kinds: _numbers("-", kinds),
        arity=(1, 1),
        unchecked=template("(- {0})"),
    ),
    "- ",  # As it is written in SQL, where the column's name tells.
)
register(Function("positive", template("{0}"), lambda kinds: kinds[0], lambda kinds: _numbers("+", kinds), arity=(1, 1)))


def _alike(operator: str) -> Function:
    def coerce(kinds: Types) -> Sequence[t.DataType | None]:
        both = expect_common(operator, kinds)
        if isinstance(both, t.MapType | t.CalendarIntervalType):
            raise AnalysisException(
                f'Cannot resolve "{operator}" due to data type mismatch: The `{operator}` does not support ordering on type '
                f'"{both.simpleString().upper()}".',
                "DATATYPE_MISMATCH.INVALID_ORDERING_TYPE",
            )
        return [both] * 2

    return Function(operator, template(f"({{0}} {operator} {{1}})"), _boolean, coerce, arity=(2, 2))


for _operator in ("=", "<", "<=", ">", ">="):
    register(_alike(_operator), *({"=": ("==",)}.get(_operator, ())))
register(Function("<>", template("({0} <> {1})"), _boolean, lambda kinds: [expect_common("<>", kinds)] * 2, arity=(2, 2)), "!=")
register(
    Function(
        "<=>",
        template("({0} IS NOT DISTINCT FROM {1})"),
        _boolean,
        lambda kinds: [expect_common("<=>", kinds)] * 2,
        nullable=False,
        arity=(2, 2),
    ),
    "equal_null",
)


def _logic(kinds: Types) -> Sequence[t.DataType | None]:
    for kind in kinds:
        if not isinstance(kind, t.BooleanType | t.NullType):
            raise AnalysisException(
                f'a condition must be "BOOLEAN", not "{kind.simpleString().upper()}".', "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE"
            )
    return [t.BooleanType()] * len(kinds)


register(
    Function(
        "between",
        template("({0} BETWEEN {1} AND {2})"),
        _boolean,
        lambda kinds: [expect_common("between", kinds)] * 3,
        arity=(3, 3),
    )
)
register(Function("and", template("({0} AND {1})"), _boolean, _logic, arity=(2, 2)))
register(Function("or", template("({0} OR {1})"), _boolean, _logic, arity=(2, 2)))
register(Function("not", template("(NOT {0})"), _boolean, _logic, arity=(1, 1)), "!")
register(Function("isnull", template("({0} IS NULL)"), _boolean, nullable=False, arity=(1, 1)))
register(Function("isnotnull", template("({0} IS NOT NULL)"), _boolean, nullable=False, arity=(1, 1)))
